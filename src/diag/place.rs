//! Places of texts as other programs want them.

use crate::source::{SourceMap, Span};

/// Lines and columns are counted from 1, columns in characters; the end is the first place after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) start: (usize, usize),
    pub(super) end: (usize, usize),
}

/// Finds places in texts whose names are those below the folder `base`, unless that is empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    pub(super) sources: &'a SourceMap,
    pub(super) base: &'a str,
}

impl Places<'_> {
    pub(super) fn of(self, span: Span) -> Place {
        let source = self.sources.get(span.source);
        Place {
            file: super::path(self.base, &source.name),
            start: source.line_column(span.start),
            end: source.line_column(span.end),
        }
    }
}
