//! A part of a source that is read on its own, with its way back to places in the whole.

use std::borrow::Cow;

use crate::source::{SourceId, Span};

/// A text cut out of a source. A misspelt first word may be put right in it, so that the rest can
/// be read: places after that word are shifted back.
#[derive(Debug)]
pub(super) struct Slice<'a> {
    source: SourceId,
    /// Where the slice starts in the source.
    start: usize,
    text: Cow<'a, str>,
    /// Lengths of the first word in the source and in `text`.
    first_word: (usize, usize),
}

impl<'a> Slice<'a> {
    /// Makes the slice of `text` that starts at byte `start` of `source`.
    pub(super) fn new(source: SourceId, start: usize, text: &'a str) -> Self {
        Slice {
            source,
            start,
            text: Cow::Borrowed(text),
            first_word: (0, 0),
        }
    }

    /// Makes the slice of `text` that starts at byte `start` of this one, in which no word was put
    /// right.
    pub(super) fn part<'b>(&self, start: usize, text: &'b str) -> Slice<'b> {
        Slice::new(self.source, self.start + start, text)
    }

    /// Puts `right` in the place of the first `written` bytes.
    pub(super) fn corrected(self, written: usize, right: &str) -> Self {
        let rest = self.text.get(written..).unwrap_or("");
        Slice {
            text: Cow::Owned(format!("{right}{rest}")),
            first_word: (written, right.len()),
            ..self
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the place in the source of `start` to `end` in this slice.
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        Span {
            source: self.source,
            start: self.offset(start),
            end: self.offset(end),
        }
    }

    fn offset(&self, at: usize) -> u32 {
        let (written, right) = self.first_word;
        let at = match at.checked_sub(right) {
            Some(after) => written + after,
            None => at.min(written),
        };
        // Texts are capped far below 4 GiB.
        u32::try_from(self.start + at).unwrap_or(u32::MAX)
    }
}
