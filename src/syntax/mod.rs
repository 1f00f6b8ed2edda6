//! Text to AST.

pub mod ast;
pub mod bounds;
mod build;
mod grammar;
pub mod keyword;
mod mistake;
mod reader;
mod scan;
mod slice;
#[cfg(test)]
mod tests;
pub mod tree;

pub(crate) use self::bounds::NAME as LONGEST_NAME;
pub(crate) use self::build::may_be_declared;

use self::ast::File;
use self::slice::Slice;
use crate::diag::Diagnostics;
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
        None => reader::file(&slice, &mut own),
    };
    diagnostics.append(own);
    file
}
