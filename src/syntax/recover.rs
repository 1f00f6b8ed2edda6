//! A file with mistakes: every statement is read on its own, so that one mistake hides no other.

mod block;
mod head;

use std::ops::Range;

use pest::iterators::Pair;

use super::ast::{File, Item, Name};
use super::build::Builder;
use super::grammar::{self, Rule};
use super::keyword::{Context, Keyword};
use super::mistake::{Refused, shown, token};
use super::scan::{Scanner, Until};
use super::slice::Slice;
use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::Span;

/// After this many mistakes in one file the rest of it is not read.
const MISTAKES: usize = 1000;

/// Reads what can be read of a file that the grammar refuses as a whole.
pub(super) fn file(slice: &Slice<'_>, diagnostics: &mut Diagnostics) -> File {
    let mut recovery = Recovery {
        slice,
        text: slice.text(),
        scanner: Scanner::new(slice.text()),
        diagnostics,
        lost: Vec::new(),
        new_line: true,
    };
    let items = recovery.items();
    File {
        items,
        lost: recovery.lost,
    }
}

struct Recovery<'a> {
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

impl<'a> Recovery<'a> {
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
            .at(self.span(at..at), "stopped here");
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
