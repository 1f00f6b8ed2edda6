//! The one layout of a policy's text: `tidegate fmt`.
//!
//! Words stay as they are and in their order, so the meaning does. What changes are blanks, line
//! ends, and the commas of trust sets.

mod columns;
mod lines;
#[cfg(test)]
mod tests;
mod wrap;

use self::lines::Printer;
use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::{SourceId, Span};
use crate::syntax;
use crate::syntax::tree;

/// Columns that a line has at most, where it can be broken.
const WIDTH: usize = 100;

/// Lays out one file's text. Its line ends become LF; it has one at its end, if it has any text.
///
/// Errors: `None` where the text has mistakes in its syntax, which go to `diagnostics`.
pub fn format(source: SourceId, text: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    let mut found = Diagnostics::default();
    syntax::parse(source, text, &mut found);
    let tree = tree::read(text);
    if tree.is_none() && found.is_empty() {
        found.push(too_complex(source));
    }
    let fine = found.is_empty();
    diagnostics.append(found);
    tree.filter(|_| fine).map(|tree| Printer::print(&tree))
}

/// Each item can be read, but not all of them in one go.
fn too_complex(source: SourceId) -> Diagnostic {
    let start = Span {
        source,
        start: 0,
        end: 0,
    };
    Diagnostic::error(code::TOO_COMPLEX, "this file takes too long to read")
        .at(start, "reading was given up")
        .help("move parts to files of their own, with `include`")
}
