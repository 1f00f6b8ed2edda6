mod accepted;
mod bounds;
mod messages;
mod messages_in_items;
mod props;
mod recovered;

use super::parse;
use crate::diag::{Diagnostic, Diagnostics};
use crate::source::SourceMap;
use crate::syntax::ast;

/// Parses a text as the only file of a policy.
fn parsed(text: &str) -> (ast::File, Vec<Diagnostic>, SourceMap) {
    let mut sources = SourceMap::default();
    let source = sources.add("test.tide", text);
    let mut diagnostics = Diagnostics::default();
    let file = parse(source, text, &mut diagnostics);
    (file, diagnostics.into_sorted(), sources)
}

/// Parses a text that must have no mistake.
#[track_caller]
fn good(text: &str) -> ast::File {
    let (file, diagnostics, _) = parsed(text);
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    file
}
