//! Text to AST.

pub mod ast;
pub mod bounds;
mod build;
mod grammar;
mod keyword;
mod slice;
#[cfg(test)]
mod tests;

use self::build::Builder;
use self::grammar::Rule;
use self::slice::Slice;
use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::SourceId;

/// Reads one file of a policy. What is wrong goes to `diagnostics`, every mistake of the file in
/// one run; the items that could be read are returned.
pub fn parse(source: SourceId, text: &str, diagnostics: &mut Diagnostics) -> ast::File {
    let text_only = text.strip_prefix('\u{feff}').unwrap_or(text);
    let slice = Slice::new(source, text.len() - text_only.len(), text_only);
    match grammar::read(Rule::file, slice.text()) {
        Ok(pairs) => {
            let mut builder = Builder {
                slice: &slice,
                diagnostics,
            };
            builder.file(pairs)
        }
        Err(error) => {
            let error = Diagnostic::error(code::UNEXPECTED, error.to_string());
            diagnostics.push(error);
            ast::File::default()
        }
    }
}
