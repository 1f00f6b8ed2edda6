//! Trust sets and their members.

use pest::iterators::Pair;

use super::{Builder, child};
use crate::diag::{Diagnostic, Diagnostics, code};
use crate::syntax::ast::{Member, Spanned, Trust};
use crate::syntax::bounds::MEMBERS;
use crate::syntax::grammar::Rule;

impl Builder<'_> {
    pub(super) fn trust(&mut self, pair: Pair<'_, Rule>) -> Trust {
        let span = self.span(&pair);
        let head = child(pair.clone(), Rule::trust_head);
        let members = super::children(pair, Rule::member);
        let members = members.map(|part| self.member(part)).collect();
        let trust = Trust {
            members,
            span,
            ..self.trust_head(head)
        };
        check_members(&trust, self.diagnostics);
        trust
    }

    /// Builds a set without members.
    pub(in crate::syntax) fn trust_head(&mut self, pair: Pair<'_, Rule>) -> Trust {
        let span = self.span(&pair);
        Trust {
            name: self.declared_name(&child(pair, Rule::name)),
            members: Vec::new(),
            span,
        }
    }

    /// Builds a member from a pair that holds one: `member` or `except`.
    pub(in crate::syntax) fn member(&mut self, pair: Pair<'_, Rule>) -> Spanned<Member> {
        let span = self.span(&pair);
        let part = pair
            .into_inner()
            .find(|part| !matches!(part.as_rule(), Rule::kw_file | Rule::kw_except))
            .unwrap_or_else(|| unreachable!("the grammar gives a member its text"));
        let node = match part.as_rule() {
            Rule::addressed => self.addressed(part),
            Rule::except => Member::Except(Box::new(self.excepted(part))),
            Rule::string => Member::File(self.string(&part).node),
            _ => Member::Set(self.name(&part).node),
        };
        Spanned { node, span }
    }

    /// Builds what follows `except`, whose place starts after that word.
    fn excepted(&mut self, pair: Pair<'_, Rule>) -> Spanned<Member> {
        let mut parts = pair.clone().into_inner().skip(1);
        let start = parts.next().map_or(0, |first| first.as_span().start());
        let end = super::end_of(&pair);
        Spanned {
            span: self.slice.span(start, end),
            ..self.member(pair)
        }
    }

    fn addressed(&mut self, pair: Pair<'_, Rule>) -> Member {
        let mut addresses = super::children(pair, Rule::address);
        match (addresses.next(), addresses.next()) {
            (Some(first), Some(last)) => Member::Range(self.text(&first), self.text(&last)),
            (Some(only), None) => Member::Address(only.as_str().to_owned()),
            (None, _) => unreachable!("the grammar gives an address here"),
        }
    }
}

/// Reports a set with more members than the bound.
pub(in crate::syntax) fn check_members(trust: &Trust, diagnostics: &mut Diagnostics) {
    let count = trust.members.len();
    if count > MEMBERS {
        let error = Diagnostic::error(code::LIST_TOO_LONG, "this set has too many members")
            .at(trust.name.span, format!("{count} members"))
            .note(format!("A set has at most {MEMBERS} members."));
        diagnostics.push(error);
    }
}
