//! Where statements start and end, whatever is in them.
//!
//! Only files with mistakes are scanned: the grammar reads the others in one go. What ends a
//! statement here is what ends it there.

use std::ops::Range;

use super::grammar::{self, Rule};
use super::keyword::Context;

/// Walks over a text from statement to statement. It never goes back by itself and always ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    pub(super) at: usize,
}

/// What ends a statement besides the end of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// The brace that opens the item's block.
    Block,
    /// The comma between members.
    Comma,
    Line,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Scanner { text, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// Steps over the next character if it is `byte`.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    /// Steps over blanks and comments.
    pub(super) fn skip_blanks(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'#' => self.skip_to(b"\n"),
                _ => return,
            }
        }
    }

    /// Steps over blanks, comments and line ends, and tells whether there was a line end.
    pub(super) fn skip_lines(&mut self) -> bool {
        let mut crossed = false;
        loop {
            self.skip_blanks();
            if !self.take(b'\n') {
                return crossed;
            }
            crossed = true;
        }
    }

    /// Tells whether only an item can start here, wherever the text around it may be.
    pub(super) fn starts_item(&self) -> bool {
        let word = word(self.rest());
        Context::File.exactly(word).is_some()
            && grammar::read(Rule::item_start, self.rest()).is_ok()
    }

    /// Steps over a statement and returns its place, without blanks and comments around it. It is
    /// empty when what ends it comes first.
    pub(super) fn statement(&mut self, until: Until) -> Range<usize> {
        let start = self.at;
        let mut end = start;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'#' => self.skip_to(b"\n"),
                b'\n' => match self.next_line(start..end) {
                    Some(at) => self.at = at,
                    None => break,
                },
                b'}' => break,
                b'{' if until == Until::Block => break,
                b',' if until == Until::Comma => break,
                _ => {
                    self.skip_token(byte);
                    end = self.at;
                }
            }
        }
        start..end
    }

    /// Steps over a block with all blocks in it; the scanner stands on its opening brace. Returns
    /// false, and steps over that brace only, when the block does not end.
    pub(super) fn skip_block(&mut self) -> bool {
        let mut ahead = *self;
        let mut depth = 0_usize;
        while let Some(byte) = ahead.peek() {
            match byte {
                b'#' => ahead.skip_to(b"\n"),
                b'"' => ahead.skip_string(),
                _ => ahead.at += 1,
            }
            match byte {
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                self.at = ahead.at;
                return true;
            }
        }
        self.at += 1;
        false
    }

    fn skip_token(&mut self, first: u8) {
        match first {
            b'"' => self.skip_string(),
            b'{' => {
                self.skip_block();
            }
            b'[' => self.skip_brackets(),
            _ => self.at += 1,
        }
    }

    /// Lines go on inside brackets, if these are closed at all.
    fn skip_brackets(&mut self) {
        let mut ahead = *self;
        ahead.at += 1;
        ahead.skip_to(b"]{}\"#[");
        let closed = ahead.peek() == Some(b']');
        self.at = if closed { ahead.at } else { self.at } + 1;
    }

    /// Steps over a text in quotes, which ends with its line at the latest.
    fn skip_string(&mut self) {
        self.at += 1;
        self.skip_to(b"\"\n");
        self.take(b'"');
    }

    /// Steps to the next of the bytes, wherever that is.
    pub(super) fn skip_to(&mut self, stops: &[u8]) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or(&[]);
        let stop = rest.iter().position(|byte| stops.contains(byte));
        self.at += stop.unwrap_or(rest.len());
    }

    /// Returns where the statement goes on, if it does. It does not when an item starts there:
    /// then its end is missing.
    fn next_line(&self, so_far: Range<usize>) -> Option<usize> {
        let so_far = self.text.get(so_far).unwrap_or("");
        let open = so_far.ends_with(',') || so_far.ends_with("->") || ends_in_colon(so_far);
        let mut next = *self;
        (open && next.skip_lines() && !next.starts_item()).then_some(next.at)
    }
}

/// Tells whether a text ends in a colon that is not the last one of several in an address.
fn ends_in_colon(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':');
    let last_word = text.trim_end_matches(letter).len();
    let colons = text.get(last_word..).unwrap_or("").matches(':').count();
    text.ends_with(':') && colons == 1
}

/// Returns the word that a text starts with, which may be empty.
pub(super) fn word(text: &str) -> &str {
    let letter = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let word = text.split(|c| !letter(c)).next().unwrap_or("");
    // The dash of an arrow is no part of the word before it.
    let arrow = text
        .get(word.len()..)
        .is_some_and(|rest| rest.starts_with('>'));
    let without = word.strip_suffix('-').filter(|_| arrow);
    without.unwrap_or(word)
}
