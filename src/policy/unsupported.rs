//! Parts of the language that are read but not compiled by this version.

use crate::diag::{Diagnostic, code};
use crate::source::Span;

/// Refuses `what`: to leave it out in silence would enforce something else than was written.
pub(super) fn refuse(what: &str, span: Span) -> Diagnostic {
    let title = format!("{what}: not in this version");
    Diagnostic::error(code::NOT_IN_THIS_VERSION, title)
        .at(span, "not compiled yet")
        .note("The policy would otherwise be enforced without it, which is not what it says.")
}
