//! Text to AST.

pub mod ast;
pub mod bounds;
mod build;
mod grammar;
mod keyword;
mod mistake;
mod recover;
mod scan;
mod slice;
#[cfg(test)]
mod tests;

use pest::error::Error;

use self::ast::File;
use self::build::Builder;
use self::grammar::Rule;
use self::mistake::Refused;
use self::slice::Slice;
use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::SourceId;

/// Reads one file of a policy. What is wrong goes to `diagnostics`, every mistake of the file in
/// one run; the items that could be read are returned. A byte order mark and Windows' line ends
/// are no mistakes.
pub fn parse(source: SourceId, text: &str, diagnostics: &mut Diagnostics) -> File {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let slice = Slice::new(source, text.len() - body.len(), body);
    let mut own = Diagnostics::default();
    let file = match bounds::refuse(&slice) {
        Some(error) => {
            own.push(error);
            File::default()
        }
        None => read(&slice, &mut own),
    };
    diagnostics.append(own);
    file
}

/// Reads the whole text by the grammar, and statement by statement if that fails.
fn read(slice: &Slice<'_>, diagnostics: &mut Diagnostics) -> File {
    let error = match grammar::read(Rule::file, slice.text()) {
        Ok(pairs) => return Builder { slice, diagnostics }.file(pairs),
        Err(error) => error,
    };
    if grammar::gave_up(&error) {
        diagnostics.push(too_complex(slice));
        return File::default();
    }
    let file = recover::file(slice, diagnostics);
    if !diagnostics.has_errors() {
        // Nothing that the grammar refuses may pass, even if each of its statements is fine.
        diagnostics.push(refused(slice, &error));
    }
    file
}

fn too_complex(slice: &Slice<'_>) -> Diagnostic {
    Diagnostic::error(code::TOO_COMPLEX, "this file takes too long to read")
        .at(slice.span(0, 0), "reading was given up")
}

fn refused(slice: &Slice<'_>, error: &Error<Rule>) -> Diagnostic {
    let refused = Refused {
        slice,
        after: "",
        error,
        keyword: None,
        end: &["end of line"],
    };
    refused.diagnostic()
}
