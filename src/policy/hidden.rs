//! What mistakes of syntax may hide, so that they are reported once and nothing is built on them.

use std::collections::HashSet;

use crate::diag::{Diagnostic, suggest};
use crate::source::Span;

#[derive(Debug, Clone, Default)]
pub(super) struct Hidden {
    /// A whole file is missing: it could declare any name.
    pub(super) any: bool,
    /// Names that broken text looks like declaring.
    names: HashSet<String>,
    /// Where the mistakes are, in order.
    mistakes: Vec<Span>,
}

impl Hidden {
    /// Remembers the mistakes of one text.
    pub(super) fn add(&mut self, text: &str, mistakes: &[Diagnostic]) {
        let labels = mistakes.iter().flat_map(|mistake| &mistake.labels);
        let primary = labels.filter(|label| label.primary);
        self.mistakes.extend(primary.map(|label| label.span));
        self.mistakes.sort_unstable();
        self.names.extend(declared_in(text));
    }

    /// Returns whether a name that nothing declares may be declared in what could not be read.
    pub(super) fn may_declare(&self, name: &str) -> bool {
        self.any || self.names.contains(name)
    }

    /// Returns whether anything at all may be missing.
    pub(super) fn spoils_all(&self) -> bool {
        self.any || !self.mistakes.is_empty()
    }

    /// Returns whether a mistake is within `span`, so that parts of it may be missing.
    pub(super) fn spoils(&self, span: Span) -> bool {
        let at = self
            .mistakes
            .partition_point(|mistake| *mistake < Span { end: 0, ..span });
        let next = self.mistakes.get(at);
        next.is_some_and(|mistake| mistake.source == span.source && mistake.start <= span.end)
    }
}

/// Returns the names that lines of a text look like declaring.
fn declared_in(text: &str) -> impl Iterator<Item = String> + '_ {
    let ends = |letter: char| letter.is_whitespace() || "{},:>".contains(letter);
    text.lines().filter_map(move |line| {
        let mut words = line.split(ends).filter(|word| !word.is_empty());
        let keyword = words.next()?;
        suggest::nearest(keyword, ["container", "network", "trust"])?;
        words.next().map(str::to_owned)
    })
}
