//! A file item by item. Each item is read by the grammar as a whole; one with mistakes is read
//! again statement by statement, so that one mistake hides no other.
//!
//! The parser's tokens are large: one item's fit in the processor's cache, those of a file do not.

mod block;
mod head;

use std::ops::Range;

use pest::iterators::Pair;

use super::ast::{File, Item, Name};
use super::build::Builder;
use super::grammar::{self, Rule};
use super::keyword::{Context, Keyword};
use super::mistake::{Refused, shown, token};
use super::scan::{Scanner, Until, word};
use super::slice::Slice;
use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::Span;

/// After this many mistakes in one file the rest of it is not read.
const MISTAKES: usize = 1000;

/// Reads all items of a file, as far as they can be read.
pub(super) fn file(slice: &Slice<'_>, diagnostics: &mut Diagnostics) -> File {
    let mut reader = Reader {
        slice,
        text: slice.text(),
        scanner: Scanner::new(slice.text()),
        diagnostics,
        lost: Vec::new(),
        new_line: true,
    };
    let items = reader.items();
    File {
        items,
        lost: reader.lost,
    }
}

struct Reader<'a> {
    slice: &'a Slice<'a>,
    text: &'a str,
    scanner: Scanner<'a>,
    diagnostics: &'a mut Diagnostics,
    lost: Vec<Name>,
    /// Whether an item may start: it may not on the line on which another ends.
    new_line: bool,
}

/// A statement to be read: its place, and its keyword with what was written for it.
#[derive(Debug, Clone)]
struct Statement {
    range: Range<usize>,
    keyword: Option<Keyword>,
    /// The length of a misspelt first word, which is read as the keyword.
    misspelt: Option<usize>,
}

impl<'a> Reader<'a> {
    fn items(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        loop {
            self.new_line |= self.scanner.skip_lines();
            match self.scanner.peek() {
                None => return items,
                Some(b'}') => self.stray_brace(),
                Some(_) if self.new_line => {
                    self.new_line = false;
                    items.extend(self.item());
                }
                Some(_) => items.extend(self.glued()),
            }
            if self.diagnostics.len() >= MISTAKES {
                self.stop();
                return items;
            }
        }
    }

    /// Reads the item at which the scanner stands, which always moves on.
    fn item(&mut self) -> Option<Item> {
        let (start, known) = (self.scanner.at, self.diagnostics.len());
        if let Some(item) = self.whole_item() {
            return Some(item);
        }
        self.scanner.at = start;
        let item = self.item_in_parts();
        if self.diagnostics.len() == known {
            self.refuse(start);
        }
        item
    }

    /// Reports what the grammar has against an item whose parts are all fine: nothing that it
    /// refuses may pass.
    fn refuse(&mut self, start: usize) {
        let end = self.slice_of(0..self.scanner.at).trim_end().len();
        let statement = Statement {
            range: start..end,
            keyword: None,
            misspelt: None,
        };
        self.read(Rule::lone_item, &statement, |_, _| ());
    }

    /// Reads an item that has no mistake; otherwise returns `None` and reports nothing.
    fn whole_item(&mut self) -> Option<Item> {
        let Range { start, mut end } = self.scanner.statement(Until::Block);
        if self.scanner.peek() == Some(b'{') {
            if !self.scanner.skip_block() {
                return None;
            }
            end = self.scanner.at;
        } else if self.block_without_brace() {
            return None;
        }
        let slice = self.slice.part(start, self.slice_of(start..end));
        let mut pairs = grammar::read(Rule::lone_item, slice.text()).ok()?;
        let mut builder = Builder {
            slice: &slice,
            diagnostics: self.diagnostics,
        };
        builder.item(pairs.next()?)
    }

    /// Tells whether the next lines look like the block of a container without its `{`, which
    /// would otherwise be a container without a block and lines that belong nowhere.
    fn block_without_brace(&self) -> bool {
        let mut next = self.scanner;
        next.skip_lines();
        next.peek() == Some(b'{') || Context::Container.exactly(word(next.rest())).is_some()
    }

    fn stray_brace(&mut self) {
        let at = self.scanner.at;
        self.scanner.at += 1;
        let error = Diagnostic::error(code::UNOPENED_BLOCK, "this `}` closes no block")
            .at(self.span(at..at + 1), "no `{` belongs to it");
        self.diagnostics.push(error);
        self.new_line = true;
    }

    /// Reports what stands on the line on which an item ends, and reads it if it is an item.
    fn glued(&mut self) -> Option<Item> {
        let at = self.scanner.at;
        let token = token(self.scanner.rest());
        let message = format!("expected end of line, found {}", shown(token));
        let mut error = Diagnostic::error(code::UNEXPECTED, message)
            .at(self.span(at..at + token.len()), "an item ends on this line");
        let item = Context::File.exactly(token).is_some();
        if item {
            error = error.help("start it on a new line");
        }
        self.diagnostics.push(error);
        if item {
            return self.item();
        }
        self.scanner.statement(Until::Line);
        None
    }

    fn stop(&mut self) {
        let message = format!("this file has {MISTAKES} mistakes; its rest is not read");
        let at = self.scanner.at;
        let error = Diagnostic::error(code::TOO_MANY_MISTAKES, message)
            .at(self.span(at..at), "stopped here")
            .help("mend the first ones: the others may follow from them");
        self.diagnostics.push(error);
    }

    fn span(&self, range: Range<usize>) -> Span {
        self.slice.span(range.start, range.end)
    }

    fn slice_of(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or("")
    }

    /// Reads one statement by a rule of the grammar and builds what it is, or reports why not.
    fn read<T>(
        &mut self,
        rule: Rule,
        statement: &Statement,
        build: impl FnOnce(&mut Builder<'_>, Pair<'_, Rule>) -> T,
    ) -> Option<T> {
        let Range { start, end } = statement.range;
        let slice = self.slice.part(start, self.slice_of(start..end));
        let slice = match (statement.misspelt, statement.keyword) {
            (Some(length), Some((right, _))) => slice.corrected(length, right),
            _ => slice,
        };
        match grammar::read(rule, slice.text()) {
            Ok(mut pairs) => {
                let mut builder = Builder {
                    slice: &slice,
                    diagnostics: self.diagnostics,
                };
                pairs.next().map(|pair| build(&mut builder, pair))
            }
            Err(error) if grammar::gave_up(&error) => {
                self.diagnostics.push(too_complex(slice.span(0, 0)));
                None
            }
            Err(error) => {
                let refused = Refused {
                    slice: &slice,
                    after: self.text.get(end..).unwrap_or(""),
                    error: &error,
                    keyword: statement.keyword,
                    end: ends(rule, statement.keyword),
                };
                self.diagnostics.push(refused.diagnostic());
                None
            }
        }
    }
}

/// Says what may come after a statement that is read by `rule`.
fn ends(rule: Rule, keyword: Option<Keyword>) -> &'static [&'static str] {
    match (rule, keyword.map(|(word, _)| word)) {
        (Rule::lone_head, Some("container")) => &["`{`", "end of line"],
        (Rule::lone_head, Some("host" | "network" | "trust")) => &["`{`"],
        (Rule::lone_member, _) => &["`,`", "end of line"],
        _ => &["end of line"],
    }
}

fn too_complex(place: Span) -> Diagnostic {
    Diagnostic::error(code::TOO_COMPLEX, "this statement takes too long to read")
        .at(place, "reading was given up")
        .help("write shorter lists, or put the names into a `trust` set")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::text::{Style, render};
    use crate::source::SourceMap;

    /// No text of a file's size is known to take so many steps: the message stands here alone.
    #[test]
    fn a_text_that_takes_too_long_is_told() {
        let mut sources = SourceMap::default();
        let source = sources.add("shop.tide", "allow a -> b\n");
        let place = Span {
            source,
            start: 0,
            end: 12,
        };
        let style = Style {
            colour: false,
            width: 100,
        };
        let text = render(&[too_complex(place)], &sources, "", style);
        crate::diag::told(code::TOO_COMPLEX, &text);
    }
}
