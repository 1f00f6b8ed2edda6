//! Blocks of a file with mistakes.

use std::ops::Range;

use pest::iterators::Pair;

use super::head::misspelt;
use super::{MISTAKES, Reader, Statement};
use crate::diag::{Diagnostic, code};
use crate::syntax::ast::{Name, Spanned};
use crate::syntax::build::Builder;
use crate::syntax::grammar::Rule;
use crate::syntax::keyword::Context;
use crate::syntax::scan::{Until, word};

impl Reader<'_> {
    /// Reads the first line of an item that has a block. If that fails, the name of what it
    /// declares is kept, so that its uses are no further mistakes.
    pub(super) fn head<T>(
        &mut self,
        statement: &Statement,
        build: impl FnOnce(&mut Builder<'_>, Pair<'_, Rule>) -> T,
    ) -> Option<T> {
        let head = self.read(Rule::lone_head, statement, build);
        if head.is_none() {
            let name = self.declared(statement);
            self.lost.extend(name);
        }
        head
    }

    fn declared(&self, statement: &Statement) -> Option<Name> {
        let text = self.slice_of(statement.range.clone());
        let after = text.get(word(text).len()..)?;
        let name = word(after.trim_start());
        let end = statement.range.end - after.trim_start().len() + name.len();
        (!name.is_empty()).then(|| Spanned {
            node: name.to_owned(),
            span: self.span(end - name.len()..end),
        })
    }

    /// Reads the block after an item's first line, if there is one, by reading each of its
    /// statements with `one`.
    pub(super) fn block<T>(
        &mut self,
        head: &Statement,
        context: Context,
        good_head: bool,
        mut one: impl FnMut(&mut Self, &Statement) -> Option<T>,
    ) -> Vec<T> {
        let mut parts = Vec::new();
        let Some(open) = self.open(head, context, good_head) else {
            return parts;
        };
        while self.diagnostics.len() < MISTAKES {
            let new_line = self.scanner.skip_lines();
            if self.scanner.take(b'}') {
                return parts;
            }
            if self.scanner.peek().is_none() || new_line && self.item_follows() {
                self.unclosed(head, open);
                return parts;
            }
            if let Some(statement) = self.part(context) {
                parts.extend(one(self, &statement));
            }
            if context == Context::Trust {
                self.scanner.take(b',');
            }
        }
        parts
    }

    /// Tells whether an item starts here although the block is open. An item of one line before
    /// the brace that may end the block is misplaced, not a sign of a missing brace.
    fn item_follows(&self) -> bool {
        let has_block = ["container", "host", "network", "trust"];
        let mut ahead = self.scanner;
        ahead.skip_to(b"{}");
        let before_brace = ahead.peek() == Some(b'}');
        let one_line = !has_block.contains(&word(self.scanner.rest()));
        self.scanner.starts_item() && !(one_line && before_brace)
    }

    /// Steps over one statement of a block and finds its keyword.
    fn part(&mut self, context: Context) -> Option<Statement> {
        if context != Context::Trust {
            let range = self.scanner.statement(Until::Line);
            return self.statement(context, range);
        }
        let range = self.scanner.statement(Until::Comma);
        Some(self.member(range))
    }

    /// A member needs no keyword, but a word with another after it was meant to be one.
    fn member(&mut self, range: Range<usize>) -> Statement {
        let text = self.slice_of(range.clone());
        let written = word(text);
        let rest = text.get(written.len()..).unwrap_or("").trim_start();
        let exact = Context::Trust.exactly(written);
        let near = Context::Trust.nearly(written);
        let meant = near.filter(|_| exact.is_none() && !rest.is_empty() && !rest.starts_with('-'));
        if let Some((right, _)) = meant {
            let place = self.span(range.start..range.start + written.len());
            let error = misspelt(Context::Trust, written, right, place);
            self.diagnostics.push(error);
        }
        Statement {
            range,
            keyword: exact.or(meant),
            misspelt: meant.map(|_| written.len()),
        }
    }

    /// Steps over the brace that opens a block and returns its place; `None` if there is no block.
    /// The brace may be missing, or on the next line, which is reported.
    fn open(
        &mut self,
        head: &Statement,
        context: Context,
        good_head: bool,
    ) -> Option<Range<usize>> {
        let end = head.range.end;
        let at = self.scanner.at;
        if self.scanner.take(b'{') {
            return Some(at..at + 1);
        }
        let mut next = self.scanner;
        next.skip_lines();
        let found = next.peek() == Some(b'{');
        let missing = context.exactly(word(next.rest())).is_some();
        if found || missing {
            self.scanner = next;
            self.scanner.take(b'{');
        } else if context == Context::Container || !good_head {
            return None;
        }
        self.unopened(head, found.then_some(next.at), missing);
        (found || missing).then_some(end..end)
    }

    fn unopened(&mut self, head: &Statement, elsewhere: Option<usize>, missing: bool) {
        let word = head.keyword.map_or("", |(word, _)| word);
        let end = head.range.end;
        let mut error = Diagnostic::error(
            code::UNOPENED_BLOCK,
            format!("the `{{` of this `{word}` block is missing"),
        )
        .at(self.span(end..end), "expected `{` at the end of this line");
        error = match elsewhere {
            Some(at) => error.also(self.span(at..at + 1), "not on a line of its own"),
            None if missing => error.fix(self.span(end..end), " {"),
            None => error.fix(self.span(end..end), " { }"),
        };
        self.diagnostics.push(error);
    }

    fn unclosed(&mut self, head: &Statement, open: Range<usize>) {
        // What follows stands on a line of its own.
        self.new_line = true;
        let word = head.keyword.map_or("", |(word, _)| word);
        let end = self.slice_of(0..self.scanner.at).trim_end().len();
        let message = format!("this `{word}` block is not closed");
        let error = Diagnostic::error(code::UNCLOSED_BLOCK, message)
            .at(self.span(open), "this `{` has no `}`")
            .also(self.span(end..end), "expected `}` after this")
            .fix(self.span(end..end), "\n}");
        self.diagnostics.push(error);
    }
}
