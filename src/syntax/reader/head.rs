//! Items of a file with mistakes.
// The methods' paths are bound to one lifetime of the builder, the closures are not.
#![allow(clippy::redundant_closure_for_method_calls)]

use std::ops::Range;

use super::{Reader, Statement};
use crate::diag::{Diagnostic, code};
use crate::source::Span;
use crate::syntax::ast::{Container, Host, Item, Network, Trust};
use crate::syntax::build::reserved;
use crate::syntax::grammar::Rule;
use crate::syntax::keyword::{Context, RESERVED, quoted};
use crate::syntax::scan::{Until, word};

impl Reader<'_> {
    /// Reads the item at which the scanner stands part by part and reports what is wrong.
    pub(super) fn item_in_parts(&mut self) -> Option<Item> {
        let head = self.scanner.statement(Until::Block);
        let Some(statement) = self.statement(Context::File, head.clone()) else {
            self.skip_any_block();
            return None;
        };
        match statement.keyword.map(|(word, _)| word) {
            Some("container") => self.container(&statement),
            Some("host") => self.host(&statement),
            Some("network") => self.network(&statement),
            Some("trust") => self.trust(&statement),
            _ => self.line(&statement),
        }
    }

    /// Finds the keyword of a statement. `None` with an error when nothing starts like this.
    pub(super) fn statement(&mut self, context: Context, range: Range<usize>) -> Option<Statement> {
        let written = word(self.slice_of(range.clone()));
        let place = self.span(range.start..range.start + written.len());
        let exact = context.exactly(written);
        let home = Context::home_of(written).filter(|home| *home != context);
        let near = context.nearly(written).filter(|_| home.is_none());
        let error = match (exact, near, home) {
            (Some(_), _, _) => None,
            _ if RESERVED.contains(&written) => Some(reserved(written, place)),
            _ if written.is_empty() => Some(self.no_word(context, range.start)),
            (None, Some((right, _)), _) => Some(misspelt(context, written, right, place)),
            (None, None, Some(home)) => Some(misplaced(written, home, place)),
            (None, None, None) => Some(unknown(context, written, place)),
        };
        if let Some(error) = error {
            self.diagnostics.push(error);
        }
        let keyword = exact.or(near)?;
        Some(Statement {
            range,
            keyword: Some(keyword),
            misspelt: exact.is_none().then_some(written.len()),
        })
    }

    /// Reports a statement that starts with no word at all.
    fn no_word(&self, context: Context, at: usize) -> Diagnostic {
        let found = self.slice_of(at..self.text.len()).chars().next();
        let length = found.map_or(0, char::len_utf8);
        let found = found.map_or_else(String::new, |found| format!(", found `{found}`"));
        let message = format!("expected {}{found}", an(context.statement()));
        Diagnostic::error(code::UNEXPECTED, message)
            .at(self.span(at..at + length), "not expected here")
            .note(starts(context))
    }

    /// Reads an item without a block.
    fn line(&mut self, statement: &Statement) -> Option<Item> {
        let item = self.read(Rule::lone_head, statement, |builder, pair| {
            builder.item(pair)
        });
        if self.scanner.peek() == Some(b'{') {
            self.no_block_here(statement);
        }
        item.flatten()
    }

    fn no_block_here(&mut self, statement: &Statement) {
        let at = self.scanner.at;
        let word = statement.keyword.map_or("this", |(word, _)| word);
        let error = Diagnostic::error(code::UNEXPECTED, format!("`{word}` has no block"))
            .at(self.span(at..at + 1), "not expected here");
        self.diagnostics.push(error);
        self.skip_any_block();
    }

    fn skip_any_block(&mut self) {
        if self.scanner.peek() == Some(b'{') {
            self.scanner.skip_block();
        }
    }

    fn container(&mut self, statement: &Statement) -> Option<Item> {
        let head = self.head(statement, |builder, pair| builder.container_head(pair));
        let exposures = self.block(
            statement,
            Context::Container,
            head.is_some(),
            |reader, statement| {
                reader.read(Rule::lone_expose, statement, |builder, pair| {
                    builder.expose(pair)
                })
            },
        );
        let span = self.so_far(statement);
        head.map(|head| {
            Item::Container(Container {
                exposures,
                span,
                ..head
            })
        })
    }

    fn host(&mut self, statement: &Statement) -> Option<Item> {
        let head = self.head(statement, |builder, pair| builder.host_head(pair));
        let settings = self.block(
            statement,
            Context::Host,
            head.is_some(),
            |reader, statement| {
                let rule = Rule::lone_host_setting;
                reader
                    .read(rule, statement, |builder, pair| builder.host_setting(pair))
                    .flatten()
            },
        );
        let span = self.so_far(statement);
        head.map(|head| {
            Item::Host(Host {
                settings,
                span,
                ..head
            })
        })
    }

    fn network(&mut self, statement: &Statement) -> Option<Item> {
        let head = self.head(statement, |builder, pair| builder.network_head(pair));
        let settings = self.block(
            statement,
            Context::Network,
            head.is_some(),
            |reader, statement| {
                let rule = Rule::lone_network_setting;
                reader
                    .read(rule, statement, |builder, pair| {
                        builder.network_setting(pair)
                    })
                    .flatten()
            },
        );
        let span = self.so_far(statement);
        head.map(|head| {
            Item::Network(Network {
                settings,
                span,
                ..head
            })
        })
    }

    fn trust(&mut self, statement: &Statement) -> Option<Item> {
        let head = self.head(statement, |builder, pair| builder.trust_head(pair));
        let members = self.block(
            statement,
            Context::Trust,
            head.is_some(),
            |reader, statement| {
                reader.read(Rule::lone_member, statement, |builder, pair| {
                    builder.member(pair)
                })
            },
        );
        let span = self.so_far(statement);
        let trust = head.map(|head| Trust {
            members,
            span,
            ..head
        });
        if let Some(trust) = &trust {
            crate::syntax::build::check_members(trust, self.diagnostics);
        }
        trust.map(Item::Trust)
    }

    /// Returns the place from a statement's start to where the scanner stands.
    fn so_far(&self, statement: &Statement) -> Span {
        let end = self.slice_of(0..self.scanner.at).trim_end().len();
        self.span(statement.range.start..end.max(statement.range.end))
    }
}

/// Returns a word with its article.
fn an(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {word}")
}

/// Says what a statement can start with here.
fn starts(context: Context) -> String {
    let words = quoted(&context.words());
    match context {
        Context::File => format!("An item starts with one of {words}."),
        _ => format!("In a `{}` block stand {words}.", context.word()),
    }
}

pub(super) fn misspelt(context: Context, written: &str, right: &str, place: Span) -> Diagnostic {
    let message = format!("unknown {} `{written}`", context.statement());
    let reason = if written.eq_ignore_ascii_case(right) {
        "keywords are lower case"
    } else {
        "not a keyword"
    };
    Diagnostic::error(code::UNKNOWN_WORD, message)
        .at(place, reason)
        .help(format!("did you mean `{right}`?"))
        .fix(place, right)
}

fn misplaced(written: &str, home: Context, place: Span) -> Diagnostic {
    let (message, label, help) = match home {
        Context::File => (
            format!("`{written}` stands only outside of blocks"),
            "a block is open here".to_owned(),
            "close the block before it, or move the line behind it".to_owned(),
        ),
        _ => (
            format!("`{written}` stands only in a `{0}` block", home.word()),
            format!("no `{0}` block is open here", home.word()),
            format!("move it into the `{0}` block that it is about", home.word()),
        ),
    };
    Diagnostic::error(code::MISPLACED, message)
        .at(place, label)
        .help(help)
}

fn unknown(context: Context, written: &str, place: Span) -> Diagnostic {
    let message = format!("unknown {} `{written}`", context.statement());
    Diagnostic::error(code::UNKNOWN_WORD, message)
        .at(place, "not a keyword")
        .note(starts(context))
}
