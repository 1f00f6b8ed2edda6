//! Something about a machine that can undo its policy, or makes it untrue.

use std::fmt::Write as _;

use serde::{Serialize, Serializer};

use super::hidden::is_hidden;
use super::wrap::wrapped;
use super::{Code, Diagnostic};
use crate::source::Span;

/// Columns of a line, as far as words allow.
const WIDTH: usize = 80;

/// How much a finding counts; the worst is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The policy is not in force whole, or anybody may undo it.
    Error,
    /// It is undone when something that happens on machines happens.
    Warning,
    /// Good to know; it changes no exit status.
    Note,
}

impl Weight {
    pub fn name(self) -> &'static str {
        match self {
            Weight::Error => "error",
            Weight::Warning => "warning",
            Weight::Note => "note",
        }
    }
}

/// What was seen, where, why it matters and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    #[serde(serialize_with = "code_name")]
    pub code: Code,
    #[serde(rename = "severity")]
    pub weight: Weight,
    /// What was seen, in one line.
    pub seen: String,
    /// A file with its line, or a chain with its rule; nothing where the machine as a whole is meant.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    pub why: String,
    #[serde(rename = "do")]
    pub remedy: String,
    /// The policy's own place, with a few words about it.
    #[serde(skip)]
    pub line: Option<(Span, String)>,
}

impl Finding {
    pub(crate) fn new(code: Code, weight: Weight, seen: impl Into<String>) -> Self {
        Finding {
            code,
            weight,
            seen: seen.into(),
            place: None,
            why: String::new(),
            remedy: String::new(),
            line: None,
        }
    }

    #[must_use]
    pub(crate) fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    #[must_use]
    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    #[must_use]
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    #[must_use]
    pub(crate) fn underlines(mut self, span: Span, words: impl Into<String>) -> Self {
        self.line = Some((span, words.into()));
        self
    }

    /// Returns it for people: a line for what was seen, then one part below each other.
    pub fn text(&self) -> String {
        let Finding { code, seen, .. } = self;
        let head = format!("{}[{code}]: ", self.weight.name());
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{head}{}",
            wrapped(&plain(seen), WIDTH - head.len()).replace('\n', "\n    ")
        );
        let place = self.place.iter().map(|place| ("at: ", place));
        let parts = [("why: ", &self.why), ("do: ", &self.remedy)];
        for (head, said) in place.chain(parts).filter(|(_, said)| !said.is_empty()) {
            text.push_str(&part(head, said));
        }
        text
    }

    /// Returns it as something to say about the policy's own text; a note is none.
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        let seen = plain(&self.seen);
        let found = match self.weight {
            Weight::Error => Diagnostic::error(self.code, seen),
            Weight::Warning => Diagnostic::warning(self.code, seen),
            Weight::Note => return None,
        };
        let found = match &self.line {
            Some((span, words)) => found.at(*span, words),
            None => found,
        };
        Some(
            found
                .note(sentence(&plain(&self.why)))
                .help(plain(&self.remedy)),
        )
    }
}

/// Returns a part of a finding, its lines below each other.
fn part(head: &str, text: &str) -> String {
    let indent = " ".repeat(4 + head.len());
    let lines = wrapped(&plain(text), WIDTH - indent.len());
    format!(
        "    {head}{}\n",
        lines.replace('\n', &format!("\n{indent}"))
    )
}

/// Escapes letters that do not show: names, rules and files of others are no messages of ours.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars() {
        if is_hidden(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).chain(['.']).collect()
}

fn code_name<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.0)
}
