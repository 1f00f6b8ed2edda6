//! What mistakes of syntax may hide, so that they are reported once and nothing is built on them.

use std::collections::HashSet;

use crate::diag::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::File;

#[derive(Debug, Clone, Default)]
pub(super) struct Hidden {
    /// A whole file is missing: it could declare any name.
    pub(super) any: bool,
    /// Names that items which could not be read would have declared.
    names: HashSet<String>,
    /// Where the mistakes are, in order.
    mistakes: Vec<Span>,
}

impl Hidden {
    /// Remembers what is missing of a file, and its mistakes.
    pub(super) fn add(&mut self, file: &File, mistakes: &[Diagnostic]) {
        self.any |= file.items.is_empty();
        let labels = mistakes.iter().flat_map(|mistake| &mistake.labels);
        let primary = labels.filter(|label| label.primary);
        self.mistakes.extend(primary.map(|label| label.span));
        self.mistakes.sort_unstable();
        let lost = file.lost.iter().map(|name| name.node.clone());
        self.names.extend(lost);
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
