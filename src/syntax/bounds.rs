//! The bounds of a policy text. A policy is untrusted input.

use super::slice::Slice;
use crate::diag::hidden::is_hidden;
use crate::diag::{Diagnostic, code};

/// Bytes of one file.
pub const FILE: usize = 1 << 20;
/// Entries of one list in a statement.
pub const LIST: usize = 10_000;
/// Members of one trust set.
pub const MEMBERS: usize = 200_000;
/// Bytes of one name.
pub const NAME: usize = 64;
/// Brackets within brackets.
pub const DEPTH: usize = 64;

/// Returns why a text is not to be read at all, if it is not: too large, not made of text, or
/// nested too deep. One pass, no recursion.
pub(super) fn refuse(slice: &Slice<'_>) -> Option<Diagnostic> {
    too_large(slice)
        .or_else(|| not_text(slice))
        .or_else(|| too_deep(slice))
}

fn too_large(slice: &Slice<'_>) -> Option<Diagnostic> {
    let size = slice.text().len();
    (size > FILE).then(|| {
        Diagnostic::error(code::FILE_TOO_LARGE, "this file is too large")
            .at(slice.span(0, 0), format!("{size} bytes"))
            .note(format!("A policy file has at most {FILE} bytes."))
            .help("move parts to files of their own, with `include` or `file`")
    })
}

/// Reports the first of all characters that no text has, once.
fn not_text(slice: &Slice<'_>) -> Option<Diagnostic> {
    let text = slice.text();
    let hidden = text
        .char_indices()
        .filter(|&(at, letter)| is_foreign(text, at, letter));
    let mut hidden = hidden.peekable();
    let &(at, first) = hidden.peek()?;
    let count = hidden.count();
    let more = if count > 1 {
        format!(", and {} more", count - 1)
    } else {
        String::new()
    };
    let error = Diagnostic::error(code::NOT_TEXT, "this file holds characters that nobody can see")
        .at(
            slice.span(at, at + first.len_utf8()),
            format!("U+{:04X}{more}", u32::from(first)),
        )
        .note("Control characters and those that turn the direction of writing could make a policy look like another one.");
    Some(error)
}

/// Tells whether a character does not show. A carriage return belongs to a line end.
fn is_foreign(text: &str, at: usize, letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        '\r' => text.as_bytes().get(at + 1) != Some(&b'\n'),
        _ => is_hidden(letter),
    }
}

fn too_deep(slice: &Slice<'_>) -> Option<Diagnostic> {
    let mut depth = 0_usize;
    let mut silent = Silent::No;
    for (at, byte) in slice.text().bytes().enumerate() {
        silent = silent.after(byte);
        match byte {
            _ if silent != Silent::No => {}
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            let error = Diagnostic::error(code::TOO_DEEP, "brackets are nested too deep")
                .at(
                    slice.span(at, at + 1),
                    format!("more than {DEPTH} are open here"),
                )
                .note("No part of the language needs more than two.");
            return Some(error);
        }
    }
    None
}

/// Where brackets mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silent {
    Comment,
    No,
    Text,
}

impl Silent {
    fn after(self, byte: u8) -> Silent {
        match (self, byte) {
            (_, b'\n') | (Silent::Text, b'"') => Silent::No,
            (Silent::No, b'#') => Silent::Comment,
            (Silent::No, b'"') => Silent::Text,
            (before, _) => before,
        }
    }
}
