//! Reads the text of iptables-save(8) and iptables-restore(8) into tables, chains and rules.
//!
//! Rules stay text: this reader is for comparing and moving rules, not for knowing what they mean.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Table, hidden};

/// What a built-in chain does with a packet that no rule decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainPolicy {
    Accept,
    Drop,
}

impl ChainPolicy {
    pub fn name(self) -> &'static str {
        match self {
            ChainPolicy::Accept => "ACCEPT",
            ChainPolicy::Drop => "DROP",
        }
    }

    /// Returns the policy of that name, or nothing for another word.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ACCEPT" => Some(ChainPolicy::Accept),
            "DROP" => Some(ChainPolicy::Drop),
            _ => None,
        }
    }
}

/// The rules of a chain, each as printed, without `-A CHAIN `.
///
/// They are one text: of chains by the thousand, nearly all are equal, and comparing them is then
/// one comparison of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleLines {
    /// Each rule with a line end behind it.
    text: String,
}

impl RuleLines {
    /// Adds a rule, which must hold no line end.
    pub fn push(&mut self, rule: &str) {
        self.text.push_str(rule);
        self.text.push('\n');
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.text.split_terminator('\n')
    }

    /// Counts the rules.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns the rule at a place, from 0.
    pub fn get(&self, at: usize) -> Option<&str> {
        self.iter().nth(at)
    }

    /// Moves the rules of `other` behind these.
    fn append(&mut self, other: &mut RuleLines) {
        if self.is_empty() {
            std::mem::swap(self, other);
        } else {
            self.text.push_str(&other.text);
            other.text.clear();
        }
    }
}

impl<'r> FromIterator<&'r str> for RuleLines {
    fn from_iter<I: IntoIterator<Item = &'r str>>(rules: I) -> Self {
        let mut lines = RuleLines::default();
        for rule in rules {
            lines.push(rule);
        }
        lines
    }
}

/// One chain; a chain of a user has no policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    pub policy: Option<ChainPolicy>,
    pub rules: RuleLines,
}

/// A rule that a restore text puts at the head of a chain which it does not declare.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Insert {
    pub chain: String,
    pub rule: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableText {
    pub chains: BTreeMap<String, Chain>,
    pub inserts: Vec<Insert>,
}

/// The tables of one family that tidegate writes; any other table is read past.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    tables: BTreeMap<Table, TableText>,
    unread: BTreeMap<Table, SaveError>,
}

impl Tables {
    pub fn table(&self, table: Table) -> Option<&TableText> {
        self.tables.get(&table)
    }

    /// Takes a table out; one that is not there is empty.
    pub fn take(&mut self, table: Table) -> TableText {
        self.tables.remove(&table).unwrap_or_default()
    }

    pub fn chain(&self, table: Table, name: &str) -> Option<&Chain> {
        self.table(table)?.chains.get(name)
    }

    /// Returns the tables of a machine that cannot be read, with the reason: nothing is known of what is
    /// in them.
    pub fn unread(&self) -> &BTreeMap<Table, SaveError> {
        &self.unread
    }
}

/// A line that is not what iptables-save or iptables-restore knows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {kind}{}", crate::netfilter::said(text))]
pub struct SaveError {
    pub line: usize,
    pub kind: SaveErrorKind,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SaveErrorKind {
    #[error("a rule for a chain that is not declared")]
    Chain,
    #[error("not a chain's declaration")]
    Declaration,
    /// iptables-nft-save leaves such a table out, so that its rules would seem to be absent.
    #[error("a table that iptables cannot show, and nft neither")]
    Incompatible,
    #[error("neither a table, a chain, a rule nor COMMIT")]
    Line,
    #[error("outside of a table")]
    Outside,
    #[error("a table without its COMMIT")]
    Unfinished,
    /// Somebody made it anew with nft(8), and it has no hook: its rules stand there and do nothing.
    #[error("a chain of the kernel's that no packet meets")]
    Unhooked,
}

/// Reads a whole save or restore text.
///
/// Errors name the first line that does not fit; a text cut short is one of them.
pub fn parse(text: &str) -> Result<Tables, SaveError> {
    read(text, |_, error| Err(error))
}

/// Reads what a machine says of its rules. A table with a line that does not fit is one that cannot be
/// read, and no reason to leave the others.
///
/// Errors: a text cut short, and lines outside of a table.
pub fn parse_live(text: &str) -> Result<Tables, SaveError> {
    let mut tables = read(text, Reader::lose)?;
    for (table, name) in unhooked(&tables) {
        let is_it = |line: &str| line.starts_with(&format!(":{name} -"));
        let line = text.lines().position(is_it).map_or(0, |at| at + 1);
        let text = format!(":{name}");
        let kind = SaveErrorKind::Unhooked;
        tables.tables.remove(&table);
        tables
            .unread
            .entry(table)
            .or_insert(SaveError { line, kind, text });
    }
    Ok(tables)
}

/// Chains by which packets come to a table's rules, iptables(8).
const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

fn unhooked(tables: &Tables) -> Vec<(Table, String)> {
    let all = tables.tables.iter();
    let chains = all.flat_map(|(table, text)| text.chains.iter().map(|it| (*table, it)));
    let dead =
        chains.filter(|(_, (name, it))| it.policy.is_none() && HOOKS.contains(&name.as_str()));
    dead.map(|(table, (name, _))| (table, name.clone()))
        .collect()
}

/// Reads a text, with what is to become of a line that does not fit.
fn read(
    text: &str,
    lose: impl Fn(&mut Reader, SaveError) -> Result<(), SaveError>,
) -> Result<Tables, SaveError> {
    let mut reader = Reader::default();
    let mut last = 0;
    for (line, number) in text.lines().zip(1..) {
        last = number;
        let failed = |kind| SaveError {
            line: number,
            kind,
            text: line.to_owned(),
        };
        if let Err(kind) = reader.line(line.trim_end()) {
            lose(&mut reader, failed(kind))?;
        }
    }
    match reader.place {
        Place::Between => Ok(reader.tables),
        Place::Foreign | Place::In(_) => Err(SaveError {
            line: last,
            kind: SaveErrorKind::Unfinished,
            text: String::new(),
        }),
    }
}

#[derive(Default)]
enum Place {
    #[default]
    Between,
    /// In a table that tidegate does not write.
    Foreign,
    In(Table),
}

#[derive(Default)]
struct Reader {
    place: Place,
    tables: Tables,
    run: Run,
}

/// Rules of one chain that follow each other: a chain is looked up once for all of them.
#[derive(Default)]
struct Run {
    chain: String,
    /// `-A CHAIN `, what the lines of its rules begin with.
    head: String,
    rules: RuleLines,
}

impl Run {
    /// Returns the rule of a line that goes on with the chain.
    fn next<'l>(&self, line: &'l str) -> Option<&'l str> {
        if self.rules.is_empty() {
            return None;
        }
        line.strip_prefix(self.head.as_str())
    }

    /// Gives the rules to their chain.
    fn end(&mut self, table: &mut TableText) {
        if self.rules.is_empty() {
            return;
        }
        if let Some(chain) = table.chains.get_mut(&self.chain) {
            chain.rules.append(&mut self.rules);
        }
    }

    fn push(
        &mut self,
        table: &mut TableText,
        chain: &str,
        rule: &str,
    ) -> Result<(), SaveErrorKind> {
        if self.rules.is_empty() || self.chain != chain {
            self.end(table);
            if !table.chains.contains_key(chain) {
                return Err(SaveErrorKind::Chain);
            }
            chain.clone_into(&mut self.chain);
            self.head = format!("-A {chain} ");
        }
        self.rules.push(rule);
        Ok(())
    }
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), SaveErrorKind> {
        match line.as_bytes().first() {
            Some(b'#') if hidden_table(line).is_some() => Err(SaveErrorKind::Incompatible),
            None | Some(b'#') => Ok(()),
            Some(b'*') => self.open(line.trim_start_matches('*')),
            Some(_) => self.inside(line),
        }
    }

    /// Goes on behind a line that does not fit, if it spoils one table alone.
    fn lose(&mut self, error: SaveError) -> Result<(), SaveError> {
        let table = match (&self.place, error.kind) {
            (Place::In(table), kind) if kind != SaveErrorKind::Unfinished => *table,
            (_, SaveErrorKind::Incompatible) => match hidden_table(&error.text) {
                Some(table) => table,
                None => return Err(error),
            },
            _ => return Err(error),
        };
        if matches!(self.place, Place::In(_)) {
            self.place = Place::Foreign;
            self.run = Run::default();
        }
        self.tables.tables.remove(&table);
        self.tables.unread.entry(table).or_insert(error);
        Ok(())
    }

    fn open(&mut self, name: &str) -> Result<(), SaveErrorKind> {
        if !matches!(self.place, Place::Between) {
            return Err(SaveErrorKind::Unfinished);
        }
        self.place = match Table::ALL.into_iter().find(|table| table.name() == name) {
            None => Place::Foreign,
            Some(table) => {
                self.tables.tables.entry(table).or_default();
                Place::In(table)
            }
        };
        Ok(())
    }

    fn inside(&mut self, line: &str) -> Result<(), SaveErrorKind> {
        let table = match self.place {
            Place::Between => return Err(SaveErrorKind::Outside),
            Place::Foreign if line == "COMMIT" => {
                self.place = Place::Between;
                return Ok(());
            }
            Place::Foreign => return Ok(()),
            Place::In(table) => self.tables.tables.entry(table).or_default(),
        };
        if line == "COMMIT" {
            self.run.end(table);
            self.place = Place::Between;
            return Ok(());
        }
        if let Some(declaration) = line.strip_prefix(':') {
            return declare(table, declaration);
        }
        if let Some(rule) = self.run.next(line) {
            self.run.rules.push(rule);
            return Ok(());
        }
        rule(table, &mut self.run, without_counters(line))
    }
}

/// Returns the table that a line says iptables cannot show, if it is one that tidegate writes.
fn hidden_table(line: &str) -> Option<Table> {
    let name = hidden::table(line)?;
    Table::ALL.into_iter().find(|table| table.name() == name)
}

/// Adds the chain of `NAME POLICY [packets:bytes]`.
fn declare(table: &mut TableText, declaration: &str) -> Result<(), SaveErrorKind> {
    let mut words = declaration.split_ascii_whitespace();
    let (Some(name), Some(policy)) = (words.next(), words.next()) else {
        return Err(SaveErrorKind::Declaration);
    };
    let policy = match policy {
        "-" => None,
        word => Some(ChainPolicy::named(word).ok_or(SaveErrorKind::Declaration)?),
    };
    table.chains.entry(name.to_owned()).or_default().policy = policy;
    Ok(())
}

/// Returns the line without the `[packets:bytes] ` that `iptables-save -c` puts first.
fn without_counters(line: &str) -> &str {
    match line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    {
        Some((_, rest)) => rest,
        None => line,
    }
}

fn rule(table: &mut TableText, run: &mut Run, line: &str) -> Result<(), SaveErrorKind> {
    let mut parts = line.splitn(3, ' ');
    let (command, chain) = (parts.next(), parts.next());
    let (Some(command), Some(chain)) = (command, chain) else {
        return Err(SaveErrorKind::Line);
    };
    // A rule without conditions and target is legal: it only counts.
    let text = parts.next().unwrap_or("");
    match command {
        "-A" => run.push(table, chain, text)?,
        "-I" => table.inserts.push(Insert {
            chain: chain.to_owned(),
            rule: text.to_owned(),
        }),
        _ => return Err(SaveErrorKind::Line),
    }
    Ok(())
}

/// Returns the chain or verdict that a rule jumps or goes to.
///
/// Words inside quotes are somebody's comment, never a target.
pub fn target(rule: &str) -> Option<&str> {
    let mut words = words(rule);
    while let Some(word) = words.next() {
        if matches!(word, "-j" | "-g" | "--jump" | "--goto") {
            return words.next();
        }
    }
    None
}

/// Splits a rule at blanks, keeping together what stands in double quotes.
pub fn words(rule: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    rule.split(move |character: char| {
        let ends = character == ' ' && !quoted;
        if character == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = character == '\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Generated by iptables-save v1.8.9
*security
:INPUT ACCEPT [0:0]
-Z whatever
COMMIT
*filter
:FORWARD DROP [12:340]
:TIDE-PASS - [0:0]
[1:2] -A FORWARD -j TIDE-PASS
-A TIDE-PASS -m comment --comment \"a -j b\" -j ACCEPT
-A TIDE-PASS
COMMIT
# Completed
";

    #[test]
    fn rules_keep_their_text_and_order() {
        let tables = parse(TEXT).unwrap();
        let forward = tables.chain(Table::Filter, "FORWARD").unwrap();
        assert_eq!(forward.policy, Some(ChainPolicy::Drop));
        assert!(forward.rules.iter().eq(["-j TIDE-PASS"]));
        let pass = tables.chain(Table::Filter, "TIDE-PASS").unwrap();
        assert_eq!(pass.policy, None);
        let rules: Vec<&str> = pass.rules.iter().collect();
        assert_eq!(rules, ["-m comment --comment \"a -j b\" -j ACCEPT", ""]);
        assert!(tables.table(Table::Mangle).is_none());
    }

    #[test]
    fn blocks_of_one_table_add_up() {
        let text = "*filter\n:TIDE-A - [0:0]\nCOMMIT\n*filter\n-I DOCKER-USER -j TIDE-A\nCOMMIT\n";
        let tables = parse(text).unwrap();
        let filter = tables.table(Table::Filter).unwrap();
        assert!(filter.chains.contains_key("TIDE-A"));
        assert_eq!(filter.inserts[0].chain, "DOCKER-USER");
        assert_eq!(filter.inserts[0].rule, "-j TIDE-A");
    }

    #[test]
    fn what_does_not_fit_is_an_error_with_its_line() {
        let kind = |text: &str| {
            parse(text)
                .map_err(|error| (error.line, error.kind))
                .unwrap_err()
        };
        assert_eq!(kind("-A X\n"), (1, SaveErrorKind::Outside));
        assert_eq!(kind("*nat\n-A X -j Y\n"), (2, SaveErrorKind::Chain));
        assert_eq!(
            kind("*nat\n:X QUEUE [0:0]\n"),
            (2, SaveErrorKind::Declaration)
        );
        assert_eq!(kind("*nat\n:X - [0:0]\n-Q X\n"), (3, SaveErrorKind::Line));
        assert_eq!(kind("*nat\n:X - [0:0]\n"), (2, SaveErrorKind::Unfinished));
        assert_eq!(kind("*nat\n*raw\n"), (2, SaveErrorKind::Unfinished));
        let hidden = "# Table `filter' is incompatible, use 'nft' tool.\n";
        assert_eq!(kind(hidden), (1, SaveErrorKind::Incompatible));
    }

    #[test]
    fn a_table_that_cannot_be_read_spoils_no_other() {
        let hidden = "# Table `filter' is incompatible, use 'nft' tool.\n";
        let text = format!(
            "*mangle\n:FORWARD ACCEPT [0:0]\nCOMMIT\n{hidden}*raw\n:X - [0:0]\n-Q X\n-A Y\nCOMMIT\n*nat\n:Y - [0:0]\nCOMMIT\n"
        );
        let tables = parse_live(&text).unwrap();
        assert!(tables.unread().keys().eq(&[Table::Raw, Table::Filter]));
        assert!(tables.chain(Table::Mangle, "FORWARD").is_some());
        assert!(tables.chain(Table::Nat, "Y").is_some());
        assert!(tables.table(Table::Raw).is_none());
        assert_eq!(parse(&text).unwrap_err().line, 4);
        assert!(parse_live("*mangle\n:FORWARD ACCEPT [0:0]\n").is_err());
        assert!(parse_live("-A X\n").is_err());
    }

    #[test]
    fn a_target_is_found_outside_of_comments() {
        assert_eq!(target("-i lo -j RETURN"), Some("RETURN"));
        assert_eq!(
            target("-m comment --comment \"x -j TIDE-A\" -g TIDE-B"),
            Some("TIDE-B")
        );
        assert_eq!(target("-m comment --comment \"q\\\" -j TIDE-A\""), None);
        assert_eq!(target(""), None);
    }
}
