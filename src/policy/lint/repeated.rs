//! Statements that another one contains.

use std::collections::{HashMap, HashSet};

use crate::diag::{Diagnostic, code};
use crate::policy::ir::{Access, Effect, Party, Policy, Service};
use crate::source::Span;

use super::names::statements;

/// How many pairs of a statement are remembered, and how many statements about one pair are compared,
/// so that the work does not grow with the square of the policy.
const MAX_PAIRS: usize = 1_024;
const MAX_COMPARED: usize = 16;

/// Warns of each statement whose sides and services are all among those of others of its kind. Of
/// two that say the same the later one is told.
pub(super) fn check(policy: &Policy) -> Vec<Diagnostic> {
    let index = Index::of(policy);
    let found = statements(policy).filter_map(|statement| {
        let holders: Option<Vec<Span>> = statement.iter().map(|it| index.holder(it)).collect();
        let (first, holder) = (statement.first()?, *holders?.first()?);
        Some(nothing_new(first, holder))
    });
    found.collect()
}

type Pair = (bool, Party, Party);

/// Statements by the pairs that they join.
struct Index<'p>(HashMap<Pair, Vec<&'p Access>>);

impl<'p> Index<'p> {
    fn of(policy: &'p Policy) -> Self {
        let mut index: HashMap<Pair, Vec<&Access>> = HashMap::new();
        for access in &policy.accesses {
            for pair in pairs(access).take(MAX_PAIRS) {
                let known = index.entry(pair).or_default();
                if known.len() < MAX_COMPARED {
                    known.push(access);
                }
            }
        }
        Index(index)
    }

    /// Returns the place of another statement that says all that this one says.
    fn holder(&self, access: &Access) -> Option<Span> {
        let others = self.0.get(&pairs(access).next()?)?.iter();
        let mut others = others.filter(|other| other.span != access.span);
        let holder = others.find(|other| {
            let first = other.span < access.span;
            holds(other, access) && (first || !holds(access, other))
        });
        holder.map(|other| other.span)
    }
}

fn pairs(access: &Access) -> impl Iterator<Item = Pair> {
    let deny = access.effect == Effect::Deny;
    let of = move |left: &Party| {
        let left = *left;
        access.right.iter().map(move |right| (deny, left, *right))
    };
    access.left.iter().flat_map(of)
}

fn holds(large: &Access, small: &Access) -> bool {
    large.effect == small.effect
        && within(&large.left, &small.left)
        && within(&large.right, &small.right)
        && serves(&large.services, &small.services)
}

fn within(large: &[Party], small: &[Party]) -> bool {
    let large: HashSet<&Party> = large.iter().collect();
    small.iter().all(|party| large.contains(party))
}

fn serves(large: &[Service], small: &[Service]) -> bool {
    let served = |service: &Service| large.iter().any(|other| covers(*other, *service));
    large.is_empty() || (!small.is_empty() && small.iter().all(served))
}

fn covers(large: Service, small: Service) -> bool {
    match (large, small) {
        (Service::Icmp(None), Service::Icmp(_)) => true,
        (Service::Ports(a, None), Service::Ports(b, _)) => a == b,
        (Service::Ports(a, Some(large)), Service::Ports(b, Some(small))) => {
            a == b && large.first <= small.first && small.last <= large.last
        }
        _ => large == small,
    }
}

fn nothing_new(access: &Access, holder: Span) -> Diagnostic {
    let word = match (access.effect, access.link) {
        (Effect::Deny, _) => "deny",
        (Effect::Allow, true) => "link",
        (Effect::Allow, false) => "allow",
    };
    Diagnostic::warning(code::REPEATED, format!("this `{word}` says nothing new"))
        .at(access.span, "without it the policy means the same")
        .also(holder, "this says as much")
        .help("take it out, or correct what it was meant to say")
}
