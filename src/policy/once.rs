//! Settings that a block may have once.

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::Span;

/// Remembers which settings of a block were met. A block knows few, so a list will do.
#[derive(Debug, Default)]
pub(super) struct Once {
    seen: Vec<(&'static str, Span)>,
}

impl Once {
    /// Returns whether `keyword` is met for the first time, and reports it otherwise.
    pub(super) fn first(
        &mut self,
        keyword: &'static str,
        span: Span,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        if let Some((_, first)) = self.seen.iter().find(|(seen, _)| *seen == keyword) {
            diagnostics.push(twice(keyword, span, *first));
            return false;
        }
        self.seen.push((keyword, span));
        true
    }
}

fn twice(keyword: &str, span: Span, first: Span) -> Diagnostic {
    let title = format!("`{keyword}` is written twice in this block");
    let twice = Diagnostic::error(code::DUPLICATE_SETTING, title)
        .at(span, "written again here")
        .also(first, "first written here");
    match keyword {
        "subnet" | "uplink" => {
            twice.help(format!("name all in one `{keyword}`, separated by commas"))
        }
        _ => twice.help("keep one of them"),
    }
}
