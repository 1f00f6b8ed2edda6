//! The place where the grammar could not go on, told in the user's words.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use pest::error::{Error, ErrorVariant, InputLocation};

use super::build::address_as_party;
use super::grammar::Rule;
use super::keyword::Keyword;
use super::scan::{Scanner, word};
use super::slice::Slice;
use crate::diag::suggest::nearest;
use crate::diag::{Diagnostic, code};
use crate::source::Span;

/// What people write for `->`.
const ARROWS: [&str; 7] = ["-->", "=>", "→", "⇒", "->>", ">", "-"];
/// Longer words are cut in messages.
const SHOWN: usize = 40;

/// A statement that the grammar refuses.
pub(super) struct Refused<'a> {
    pub(super) slice: &'a Slice<'a>,
    /// The text after the statement, up to the end of the file.
    pub(super) after: &'a str,
    pub(super) error: &'a Error<Rule>,
    pub(super) keyword: Option<Keyword>,
    /// What may come where the statement ends.
    pub(super) end: &'static [&'static str],
}

/// What stands where something else is expected.
struct Found<'a> {
    words: String,
    /// Empty at the end of a line or of the file.
    text: &'a str,
    span: Span,
}

impl Refused<'_> {
    /// Says what was expected, what was found, and the fix where one is likely.
    pub(super) fn diagnostic(&self) -> Diagnostic {
        let expected = self.expected();
        if let Some(error) = self.unclosed_text().or_else(|| self.address()) {
            return error;
        }
        let found = self.found();
        let words = self.either(&expected, &found.words);
        let message = format!("expected {words}, found {}", found.words);
        let mut error = Diagnostic::error(code::UNEXPECTED, message)
            .at(found.span, format!("expected {words}"));
        if let Some((_, form)) = self.keyword {
            error = error.note(format!("The form is `{form}`."));
        }
        if let Some(right) = fix(&expected, found.text) {
            return error
                .help(format!("did you mean `{right}`?"))
                .fix(found.span, right);
        }
        if let Some((span, quoted)) = self.quotes(&expected) {
            return error.help("write it in quotes").fix(span, quoted);
        }
        self.with_hint(error, &expected, &found)
    }

    fn with_hint(&self, error: Diagnostic, expected: &[Rule], found: &Found<'_>) -> Diagnostic {
        match hint(expected, found.text, self.before()) {
            Some(hint) => error.help(hint),
            None => error,
        }
    }

    fn at(&self) -> usize {
        match self.error.location {
            InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
        }
    }

    fn before(&self) -> &str {
        let before = self.slice.text().get(..self.at());
        before.unwrap_or("").trim_end()
    }

    fn rest(&self) -> &str {
        self.slice.text().get(self.at()..).unwrap_or("")
    }

    /// Returns what could have stood here, the end of the statement last. Without what could only
    /// have made a list or a range longer, when there is something else.
    fn expected(&self) -> Vec<Rule> {
        let ErrorVariant::ParsingError { positives, .. } = &self.error.variant else {
            return Vec::new();
        };
        let mut rules = positives.clone();
        rules.sort_unstable_by_key(|rule| (*rule == Rule::EOI, *rule));
        rules.dedup();
        let longer = |rule: &Rule| matches!(rule, Rule::comma | Rule::dash | Rule::left_bracket);
        if rules.iter().any(|rule| !longer(rule) && *rule != Rule::EOI) {
            rules.retain(|rule| !longer(rule));
        }
        if rules.contains(&Rule::EOI) {
            rules.retain(|rule| *rule != Rule::dash);
        }
        rules
    }

    /// Returns the expectations as `A, B or C`, without what was found: a line may end too early.
    fn either(&self, rules: &[Rule], found: &str) -> String {
        let mut words: Vec<String> = Vec::new();
        for rule in rules {
            match rule {
                Rule::EOI => words.extend(self.end.iter().map(|&end| end.to_owned())),
                rule => words.push(rule.words()),
            }
        }
        let mut seen = BTreeSet::new();
        words.retain(|word| word != found && seen.insert(word.clone()));
        match words.pop() {
            None => "something else".to_owned(),
            Some(last) if words.is_empty() => last,
            Some(last) => format!("{} or {last}", words.join(", ")),
        }
    }

    fn found(&self) -> Found<'_> {
        let start = self.at();
        let token = token(self.rest());
        if !token.is_empty() && token != "\n" {
            let span = self.slice.span(start, start + token.len());
            return Found {
                words: shown(token),
                text: token,
                span,
            };
        }
        let end = self.before().len();
        let after = if token.is_empty() { self.after } else { token };
        let mut after = Scanner::new(after);
        after.skip_blanks();
        let words = match after.peek() {
            None => "end of file".to_owned(),
            Some(b'\n') => "end of line".to_owned(),
            Some(_) => shown(self::token(after.rest())),
        };
        Found {
            words,
            text: "",
            span: self.slice.span(end, end),
        }
    }

    /// Returns the word that stands where a text in quotes is expected, with quotes.
    fn quotes(&self, expected: &[Rule]) -> Option<(Span, String)> {
        let word = self.rest().split_whitespace().next()?;
        let bare = expected.contains(&Rule::string) && !word.contains(['"', '=', '#', ',']);
        let span = self.slice.span(self.at(), self.at() + word.len());
        bare.then(|| (span, format!("\"{word}\"")))
    }

    fn unclosed_text(&self) -> Option<Diagnostic> {
        let line = self.rest().lines().next()?;
        let unclosed = line.starts_with('"') && !line.get(1..)?.contains('"');
        let (start, end) = (self.at(), self.at() + line.len());
        unclosed.then(|| {
            Diagnostic::error(code::UNCLOSED_TEXT, "this text in quotes does not end")
                .at(self.slice.span(start, end), "no closing `\"` on this line")
        })
    }

    /// Reports an address where the grammar wants a name, whole and not from the first character
    /// that no name can have.
    fn address(&self) -> Option<Diagnostic> {
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '/');
        let before = self.slice.text().get(..self.at())?;
        let start = before.trim_end_matches(letter).len();
        let text = self.slice.text().get(start..)?;
        let address = text.split(|c| !letter(c)).next()?;
        let known = address.parse::<IpAddr>().is_ok() || address.parse::<IpNet>().is_ok();
        let here = known && self.wants_names(before.get(..start)?);
        here.then(|| address_as_party(address, self.slice.span(start, start + address.len())))
    }

    /// Tells whether the statement goes on with names after `before`, not with ports.
    fn wants_names(&self, before: &str) -> bool {
        match self.keyword {
            Some(("allow" | "deny" | "expect" | "link", _)) => !before.contains(':'),
            Some(("expose", _)) => before.contains(" from "),
            _ => false,
        }
    }
}

/// Returns the token that a text starts with: a word, a text in quotes, an arrow or a character.
pub(super) fn token(text: &str) -> &str {
    let word = word(text);
    let length = match text.chars().next() {
        _ if !word.is_empty() => word.len(),
        Some('"') => text
            .get(1..)
            .and_then(|rest| rest.find('"'))
            .map_or(1, |at| at + 2),
        Some(_) if text.starts_with("->") => 2,
        Some(first) => ARROWS
            .iter()
            .filter(|arrow| text.starts_with(**arrow))
            .map(|arrow| arrow.len())
            .max()
            .unwrap_or(first.len_utf8()),
        None => 0,
    };
    text.get(..length).unwrap_or("")
}

/// Returns a token for a message; a blank that is not the usual one is named by its number.
pub(super) fn shown(token: &str) -> String {
    let mut letters = token.chars();
    match (letters.next(), token.chars().count()) {
        (Some(only), 1) if only.is_whitespace() => format!("a blank U+{:04X}", u32::from(only)),
        (_, length) if length > SHOWN => {
            let start: String = token.chars().take(SHOWN).collect();
            format!("`{start}…`")
        }
        _ => format!("`{token}`"),
    }
}

/// Returns what was most likely meant by `found`.
fn fix(expected: &[Rule], found: &str) -> Option<&'static str> {
    if expected.contains(&Rule::arrow) && ARROWS.contains(&found) {
        return Some("->");
    }
    nearest(found, expected.iter().filter_map(|rule| rule.keyword()))
}

/// Returns advice for mistakes that people used to other tools make.
fn hint(expected: &[Rule], found: &str, before: &str) -> Option<&'static str> {
    let clauses = ["as", "from", "limit", "log"];
    let ends = expected.contains(&Rule::EOI);
    if expected.contains(&Rule::slash) && !ends {
        let rate = before
            .contains(" limit ")
            .then_some("a rate has a unit, as in `50/second`");
        return rate.or(Some("a port needs its protocol, as in `80/tcp`"));
    }
    if found.is_empty() {
        return None;
    }
    if expected.contains(&Rule::colon)
        && expected.contains(&Rule::EOI)
        && found.starts_with(|c: char| c.is_ascii_digit())
    {
        return Some("ports follow a colon, as in `link web -> db : 5432/tcp`");
    }
    if found == "/"
        && ["tcp", "udp", "sctp"]
            .iter()
            .any(|protocol| before.ends_with(protocol))
    {
        return Some("ports come first, as in `80/tcp`");
    }
    if ends && clauses.contains(&found) && before.starts_with("expose") {
        return Some("the clauses come in this order: `as`, `from`, `limit`, `log`");
    }
    if found == ":" && before.contains(" as ") {
        return Some("an IPv6 address stands in brackets, as in `as [fd00::1]:8080`");
    }
    if found == "icmp" && expected.contains(&Rule::kw_tcp) {
        return Some("ICMP has no ports: write `icmp`, or `icmp` and a type");
    }
    if found == "," && expected == [Rule::EOI] {
        return Some("only one statement stands on a line");
    }
    if found == ";" {
        return Some("a statement ends with its line, without `;`");
    }
    if !found.is_ascii() {
        return Some("names are made of the letters a to z, digits, `-`, `_` and `.`");
    }
    None
}
