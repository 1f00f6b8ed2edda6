//! Address lists: text files with one address or prefix a line and `#` comments.

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::net::AddrSet;
use crate::source::{SourceId, Span};

use super::literal;

/// How many bad lines of one list are reported; a file of another kind has nothing else.
const MAX_REPORTED: usize = 10;

/// Returns everything that the list holds, or `None` after an error.
pub(super) fn read(source: SourceId, text: &str, diagnostics: &mut Diagnostics) -> Option<AddrSet> {
    let (mut sets, mut bad) = (Vec::new(), Vec::new());
    for (entry, span) in entries(source, text) {
        match literal::block(entry) {
            Ok(net) => sets.push(AddrSet::prefix(net)),
            Err(flaw) => bad.push((flaw, entry, span)),
        }
    }
    for (flaw, entry, span) in bad.iter().take(MAX_REPORTED) {
        diagnostics.push(flaw.diagnostic(entry, *span));
    }
    if let Some((_, _, span)) = bad.get(MAX_REPORTED) {
        diagnostics.push(many_more(*span, bad.len() - MAX_REPORTED));
    }
    bad.is_empty().then(|| AddrSet::union_of(&sets))
}

/// Yields what stands on each line before its comment, without blanks, and where.
fn entries(source: SourceId, text: &str) -> impl Iterator<Item = (&str, Span)> {
    let mut next = 0;
    text.split('\n').filter_map(move |line| {
        let start = next;
        next += line.len() + 1;
        let kept = line.split('#').next().unwrap_or("");
        let blank = |letter: char| letter.is_whitespace() || letter == '\u{feff}';
        let entry = kept.trim_matches(blank);
        let start = start + (kept.len() - kept.trim_start_matches(blank).len());
        let span = Span {
            source,
            start: offset(start),
            end: offset(start + entry.len()),
        };
        (!entry.is_empty()).then_some((entry, span))
    })
}

/// Texts are shorter than 4 GiB by the loader's cap.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn many_more(span: Span, count: usize) -> Diagnostic {
    let lines = if count == 1 { "line is" } else { "lines are" };
    let title = format!("{count} more {lines} neither address nor prefix");
    Diagnostic::error(code::BAD_ADDRESS, title)
        .at(span, "the next one")
        .help("a list has one address or prefix a line, and `#` before comments")
}
