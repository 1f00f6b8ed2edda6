//! What a comparison says, for people, for programs and for a review's comment.

use std::fmt::Write;

use serde_json::{Value, json};

use super::diff::{Aside, Change, Diff, Row};
use super::names::Words;
use super::quiet::Unnoticed;
use super::reasons::Reason;
use super::saved::LEAVES;
use crate::net::Family;

/// Most rules of one text alone that are written out.
const MAX_UNNOTICED: usize = 20;

impl Change {
    fn word(self) -> &'static str {
        match self {
            Change::Opens => "opens",
            Change::Closes => "closes",
            Change::Moves => "leads elsewhere",
        }
    }
}

impl Aside {
    fn words(self) -> &'static str {
        match self {
            Aside::Shared => "some packets to addresses that several receive",
            Aside::Spoofed => "some connections from addresses that belong to another network",
        }
    }
}

impl Diff {
    /// Tells whether anything differs, or may.
    pub fn differs(&self) -> bool {
        let is_whole = self.told.is_none() && self.unasked.is_empty();
        !(is_whole && self.rows.is_empty() && self.aside.is_empty())
            || self.unnoticed.iter().any(|it| it.why.is_open())
    }

    /// Writes rules that stand in one text alone, below what is so of them.
    fn quietly(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut heading = None;
        for it in self.unnoticed.iter().take(MAX_UNNOTICED) {
            if heading.replace(it.why) != Some(it.why) {
                lines.push(format!("in one text alone; {}:", it.why.words()));
            }
            let when = if it.is_new { "new" } else { "gone" };
            lines.push(format!("  {when}: {}", it.line));
        }
        let more = self.unnoticed.len().saturating_sub(MAX_UNNOTICED);
        lines.extend((more > 0).then(|| format!("  and {more} more")));
        lines
    }

    /// Writes the rows below the lines that decide about them.
    pub fn as_text(&self) -> String {
        let mut text = String::new();
        let mut heading = String::new();
        for row in &self.rows {
            let now = format!(
                "{}: {}, now {}",
                row.change.word(),
                said(&row.before).replacen("passes", "passed", 1),
                said(&row.after)
            );
            if now != heading {
                let _ = writeln!(text, "{now}");
                heading = now;
            }
            let _ = writeln!(text, "  {}", line(row));
        }
        text.extend(self.more().into_iter().map(|more| more + "\n"));
        if text.is_empty() {
            text.push_str(if self.unnoticed.is_empty() {
                "nothing differs\n"
            } else {
                "no new connection is treated otherwise\n"
            });
        }
        text.extend(self.quietly().into_iter().map(|line| line + "\n"));
        text
    }

    /// Writes a table.
    pub fn as_markdown(&self) -> String {
        if !self.differs() && self.unnoticed.is_empty() {
            return "Nothing differs.\n".to_owned();
        }
        let mut text = "| change | from | to | services | was | is |\n\
             | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
        for cells in self.table() {
            let cells = cells.map(|cell| plain(&cell));
            let cells = cells.map(|cell| cell.replace('|', "\\|"));
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        let more = self.more().into_iter();
        text.extend(more.map(|more| format!("\n{more}\n")));
        let quietly = self.quietly();
        if !quietly.is_empty() {
            // Indented, a text is what it is.
            let lines = quietly.into_iter().map(|line| format!("    {line}\n"));
            text.push('\n');
            text.extend(lines);
        }
        text
    }

    /// Returns of each row the change, who connects, to whom, on what, and what came and comes of it.
    pub fn table(&self) -> Vec<[String; 6]> {
        let cells = |row: &Row| {
            [
                format!("{}{}", row.change.word(), family(row)),
                from(row),
                row.to.to_string(),
                format!("{}{}", row.services, taken(row)),
                reached(&row.before),
                reached(&row.after),
            ]
        };
        self.rows.iter().map(cells).collect()
    }

    pub fn as_json(&self) -> Value {
        let words = |words: &Words| json!({"these": words.these, "except": words.except});
        let reason = |it: &Reason| json!({"arrives": it.arrives, "end": it.end, "to": it.place(), "by": it.by});
        let row = |row: &Row| {
            let taken = row.taken.iter();
            let taken: Vec<Value> = taken
                .map(|(text, holds)| json!({"match": text, "holds": holds}))
                .collect();
            let families: Vec<&str> = row.families.iter().map(|family| family.title()).collect();
            json!({
                "change": row.change.word(),
                "families": families,
                "from": words(&row.from),
                "by": row.by,
                "to": words(&row.to),
                "services": words(&row.services),
                "assumptions": taken,
                "only": row.only,
                "before": reason(&row.before),
                "after": reason(&row.after),
            })
        };
        let besides: Vec<Value> = self
            .aside
            .iter()
            .map(|(aside, change)| json!({"change": change.word(), "what": aside.words()}))
            .collect();
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        let unnoticed =
            |it: &Unnoticed| json!({"line": it.line, "new": it.is_new, "why": it.why.words()});
        let unnoticed: Vec<Value> = self.unnoticed.iter().map(unnoticed).collect();
        json!({"differs": self.differs(), "rows": rows, "besides": besides, "told": self.told, "unasked": self.unasked, "unnoticed": unnoticed})
    }

    /// Returns what no row tells.
    pub fn more(&self) -> Vec<String> {
        let aside = self.aside.iter();
        let aside = aside.map(|(aside, change)| format!("{}: {}", change.word(), aside.words()));
        let more = self.told.map(|told| {
            let percent = (told * 100.0).floor();
            format!("and more: these are {percent} % of what differs, counted in packets")
        });
        let unasked = (!self.unasked.is_empty()).then(|| {
            let names = self.unasked.join(", ");
            format!("and perhaps more: nobody compared {names}")
        });
        aside.chain(more).chain(unasked).collect()
    }
}

/// Escapes what Markdown would read in names of sets and files.
fn plain(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if "\\`*_<[".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

fn said(reason: &Reason) -> String {
    match &reason.by {
        Some(by) => format!("{} by {by}", reason.end),
        None => reason.end.clone(),
    }
}

fn reached(reason: &Reason) -> String {
    let to = reason.place();
    let to = to.map_or_else(String::new, |to| format!(" to {to}"));
    let by = reason.by.as_ref();
    let by = by.map_or_else(String::new, |by| format!(" by {by}"));
    format!("{}{to}{by}", reason.end)
}

fn line(row: &Row) -> String {
    format!(
        "{} -> {}: {}{}{}{}",
        from(row),
        row.to,
        row.services,
        led(row),
        taken(row),
        family(row)
    )
}

fn from(row: &Row) -> String {
    match &row.by {
        Some(by) => format!("{} by {by}", row.from),
        None => row.from.to_string(),
    }
}

fn led(row: &Row) -> String {
    match (row.before.place(), row.after.place()) {
        (Some(before), Some(after)) if before != after => format!(", to {after}, was to {before}"),
        (Some(to), None) if row.change == Change::Moves => format!(", no longer to {to}"),
        (None, Some(to)) if row.change == Change::Moves => format!(", now to {to}"),
        (Some(to), _) | (None, Some(to)) => format!(", to {to}"),
        (None, None) => String::new(),
    }
}

fn taken(row: &Row) -> String {
    let one = |(text, holds): &(String, bool)| format!(" {}", condition(text, *holds));
    let all: String = row.taken.iter().map(one).collect();
    all + &only(row)
}

/// Says of what machine a row is true, in one condition for all ways out.
fn only(row: &Row) -> String {
    let (ways, others): (Vec<&str>, Vec<&str>) = row
        .only
        .iter()
        .map(String::as_str)
        .partition(|it| it.starts_with(LEAVES));
    let ways: Vec<&str> = ways
        .iter()
        .filter_map(|it| it.strip_prefix(LEAVES))
        .collect();
    let ways = (!ways.is_empty()).then(|| format!("{LEAVES}{}", ways.join(", ")));
    let all: Vec<String> = ways
        .into_iter()
        .chain(others.into_iter().map(str::to_owned))
        .collect();
    if all.is_empty() {
        return String::new();
    }
    format!(" if {}", all.join(" or "))
}

/// Says what a match answers; of limits in few words.
fn condition(text: &str, holds: bool) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let behind = |option: &str| {
        let at = words.iter().position(|word| *word == option)?;
        words.get(at + 1)
    };
    let over = if holds { "over" } else { "up to" };
    if let Some(rate) = behind("--hashlimit-above") {
        return format!("{over} {rate}");
    }
    if let Some(count) = behind("--connlimit-above") {
        return format!("{over} {count} at once");
    }
    let not = if holds { "" } else { "not " };
    format!("if {not}`{text}`")
}

fn family(row: &Row) -> String {
    match row.families.as_slice() {
        [Family::V6] => " (IPv6)".to_owned(),
        [Family::V4] => " (IPv4)".to_owned(),
        _ => String::new(),
    }
}
