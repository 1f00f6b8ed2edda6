//! Pairs of the grammar to the AST.

mod access;
mod container;
mod host;
mod network;
mod trust;
mod words;

pub(super) use self::trust::check_members;
pub(crate) use self::words::may_be_declared;
pub(super) use self::words::{address_as_party, reserved};

use pest::iterators::Pair;

use super::ast::{Include, Item, Spanned};
use super::grammar::Rule;
use super::slice::Slice;
use crate::diag::Diagnostics;
use crate::source::Span;

/// Turns pairs of one slice into parts of the AST, and reports what the grammar alone cannot
/// refuse: long names, large numbers, reserved words.
pub(super) struct Builder<'a> {
    pub(super) slice: &'a Slice<'a>,
    pub(super) diagnostics: &'a mut Diagnostics,
}

impl Builder<'_> {
    /// Builds an item; `None` for a pair that is none.
    pub(super) fn item(&mut self, pair: Pair<'_, Rule>) -> Option<Item> {
        Some(match pair.as_rule() {
            Rule::access => Item::Access(self.access(pair)),
            Rule::container => Item::Container(self.container(pair)),
            Rule::expect => Item::Expect(self.expect(pair)),
            Rule::host => Item::Host(self.host(pair)),
            Rule::include => Item::Include(self.include(pair)),
            Rule::network => Item::Network(self.network(pair)),
            Rule::trust => Item::Trust(self.trust(pair)),
            _ => return None,
        })
    }

    fn include(&mut self, pair: Pair<'_, Rule>) -> Include {
        let span = self.span(&pair);
        let path = self.string(&child(pair, Rule::string));
        Include { path, span }
    }

    /// Returns the place of a pair without the blanks and comments after it.
    fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        self.slice.span(pair.as_span().start(), end_of(pair))
    }

    fn spanned<T>(&self, pair: &Pair<'_, Rule>, node: T) -> Spanned<T> {
        Spanned {
            node,
            span: self.span(pair),
        }
    }
}

/// Returns where the last word in a pair ends: a rule that ends in an optional part has also
/// eaten the blanks before that part.
fn end_of(pair: &Pair<'_, Rule>) -> usize {
    match pair.clone().into_inner().next_back() {
        Some(last) => end_of(&last),
        None => pair.as_span().end(),
    }
}

/// Returns the part of a pair that the grammar says is there.
fn child(pair: Pair<'_, Rule>, rule: Rule) -> Pair<'_, Rule> {
    children(pair, rule)
        .next()
        .unwrap_or_else(|| unreachable!("the grammar gives {rule:?} here"))
}

/// Returns all parts of a pair that are of one rule.
fn children(pair: Pair<'_, Rule>, rule: Rule) -> impl Iterator<Item = Pair<'_, Rule>> {
    pair.into_inner().filter(move |part| part.as_rule() == rule)
}

/// Tells whether one of a pair's parts is of `rule`.
fn has(pair: &Pair<'_, Rule>, rule: Rule) -> bool {
    pair.clone().into_inner().any(|part| part.as_rule() == rule)
}
