//! From a draft to rules that iptables has: one rule for each prefix, or trees of chains.
//!
//! A list is walked from its top, so a packet pays for every rule above its own. These ideas keep long
//! lists from being walked, and each has its file:
//!
//! - `union.rs`: rules in a row that do the same are one set of packets, so their order is free.
//! - `sets.rs`: many prefixes become a chain of their own, one for all rules that name the same.
//! - `shared.rs`: where many rules of a list name a large set, one way leads into it.
//! - `tree.rs`: a long list becomes a tree of chains, four ways at each, by prefix or by port.
//! - `prefixes.rs`: however prefixes lie, they part evenly, so that no tree is deep.
//! - `answers.rs`: a tree that nothing but the end of its chain follows ends a packet's way itself.
//! - `dispatch.rs`: rules that do different things keep their order, and are found by port.
//!
//! Lists of up to [`Shape::long`] rules stay as they are: a chain costs more to load than a few rules
//! more cost a packet. Nothing here knows the policy: what comes out is proven equal to it afterwards, as
//! the plain lists are.

mod answers;
mod dispatch;
mod forest;
mod plain;
mod prefixes;
mod sets;
mod shared;
mod split;
mod tree;
mod union;

use std::collections::BTreeSet;

use super::bounds::DEPTH;
use super::lower::{MAX_RULES, draft};
use super::nesting::Links;
use super::rule::{Rule, Ruleset, Target};
use super::{ChainName, Family, TooManyRules};
use crate::policy::ir::Policy;
use forest::{Chains, Forest};
pub use plain::plain;

/// What trees look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Fewer prefixes than these have no chain of their own, and fewer rules of a kind are not put together.
    pub list: usize,
    /// No list of up to so many rules becomes a tree.
    pub long: usize,
    /// Rules of the last chains of a tree, roughly.
    pub leaf: usize,
    /// Prefixes that are spared on all ways together, from which on a set has one way in instead of many.
    pub shared: usize,
    /// Ways from each chain of a tree; more where the tree would be too deep else.
    pub fan_out: usize,
    /// Most chains below each other, from a hook on.
    pub depth: usize,
    /// Most jumps that lead anywhere, each counted as often as there are ways to it: less than
    /// [`JUMPS`](super::bounds::JUMPS), since others' rules have some, too.
    pub jumps: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Shape {
            list: 16,
            long: 32,
            leaf: 8,
            shared: 16_384,
            fan_out: 4,
            depth: DEPTH,
            jumps: 60_000,
        }
    }
}

/// Last chains that a tree of any size has, roughly: beyond, they grow longer instead of more.
/// `iptables-nft-restore` keeps the names of a table's chains in a sorted list and walks it for every
/// line (`cache_chain_list_insert` in iptables/nft-cache.c, 1.8.9), so its time grows with rules times
/// chains: 300,000 rules in 100,000 chains took minutes. A packet hardly feels thirty rules more.
const LEAVES: usize = 5_000;

/// Most ways from a chain: with more the way to a rule would be as long as a list.
const WIDEST: usize = 64;

impl Shape {
    /// Returns true for a list that stays one.
    fn is_short(self, rules: usize) -> bool {
        rules <= self.long.max(self.leaf)
    }

    /// Returns the most rules of the last chains in a tree of so many rules.
    fn leaf(self, rules: usize) -> usize {
        (rules / LEAVES).max(self.leaf).max(1)
    }

    /// Returns how many ways a list is parted in: so many that the last chains become full, since a list
    /// is parted evenly all the way down.
    fn ways(self, rules: usize, leaf: usize) -> usize {
        let mut below = leaf.max(1);
        while below.saturating_mul(self.fan_out.max(2)) < rules {
            below *= self.fan_out.max(2);
        }
        rules.div_ceil(below).clamp(2, self.fan_out.max(2))
    }

    /// Returns true if so few rules are no reason for a chain: they stand where its jump would.
    fn few(self, rules: usize) -> bool {
        rules <= (self.leaf / 4).max(1)
    }

    /// Returns the shape to try after this one, if what it made is too deep or has too many jumps.
    fn next(self, depth: usize, jumps: usize) -> Option<Shape> {
        // Trees follow each other, by port, source and destination, say: wider ones are less deep.
        if depth > self.depth {
            let fan_out = self.fan_out.saturating_mul(2);
            return (fan_out <= WIDEST).then_some(Shape { fan_out, ..self });
        }
        let excess = jumps.div_ceil(self.jumps.max(1));
        (self.leaf <= MAX_RULES && excess > 1).then(|| Shape {
            leaf: self.leaf.saturating_mul(excess.next_power_of_two()),
            ..self
        })
    }
}

/// Returns plain rules for one family: every prefix of every statement is a rule.
///
/// Errors: more than a million rules.
pub fn lower(policy: &Policy, family: Family) -> Result<Ruleset, TooManyRules> {
    plain(draft(policy, family)?)
}

/// Returns rules for one family with long lists as trees.
///
/// Errors: more than a million rules.
pub fn optimised(policy: &Policy, family: Family) -> Result<Ruleset, TooManyRules> {
    optimise(draft(policy, family)?, Shape::default())
}

/// Makes rules of a draft, with long lists as trees. Where those are too deep however wide they are, or
/// have too many jumps even with long lists at their ends, there are none.
///
/// Errors: more than a million rules.
pub fn optimise(draft: Ruleset, shape: Shape) -> Result<Ruleset, TooManyRules> {
    if prefixes(&draft) > MAX_RULES {
        let (limit, span) = (MAX_RULES, None);
        return Err(TooManyRules { limit, span });
    }
    let mut shape = shape;
    loop {
        let chains = grown(&draft, shape);
        let (depth, jumps) = nested(&draft, &chains);
        match shape.next(depth, jumps) {
            Some(next) => shape = next,
            None if depth > shape.depth || jumps > shape.jumps => return plain(draft),
            None => return checked(Ruleset { chains, ..draft }),
        }
    }
}

/// Returns how many rules the sets of a draft need at least: one for each prefix, in each table.
fn prefixes(draft: &Ruleset) -> usize {
    let mut sets = BTreeSet::new();
    for ((table, _), rules) in &draft.chains {
        let named = rules.iter().flat_map(|it| [&it.sources, &it.destinations]);
        let places = named.flatten().map(|set| (set.as_ptr().addr(), set.len()));
        sets.extend(places.map(|set| (*table, set)));
    }
    sets.iter().map(|(_, (_, length))| length).sum()
}

/// Returns how deep chains are nested, and how many jumps there are.
fn nested(draft: &Ruleset, chains: &Chains) -> (usize, usize) {
    let links = Links::of(chains.iter().map(|((table, name), rules)| {
        let leads = rules.iter().filter_map(next).map(ChainName::as_str);
        ((*table, name.as_str()), leads.collect())
    }));
    let hooks = draft.hooks.iter();
    let hooked = hooks.map(|hook| (hook.table, hook.target.as_str()));
    (links.deepest(hooked.clone()), links.jumps(hooked))
}

/// Returns the chain that a rule leads to.
fn next(rule: &Rule) -> Option<&ChainName> {
    match &rule.target {
        Target::Goto(next) | Target::Jump(next) => Some(next),
        _ => None,
    }
}

fn grown(draft: &Ruleset, shape: Shape) -> Chains {
    let mut forest = Forest::new(shape, draft.chains.keys());
    for ((table, name), rules) in &draft.chains {
        forest.grow(*table, name, rules.clone());
    }
    let mut chains = forest.into_chains();
    answers::answer(&mut chains);
    chains
}

fn checked(rules: Ruleset) -> Result<Ruleset, TooManyRules> {
    let (limit, span) = (MAX_RULES, None);
    if rules.chains.values().map(Vec::len).sum::<usize>() > limit {
        return Err(TooManyRules { limit, span });
    }
    Ok(rules)
}

/// Returns how many rules a draft's rule stands for.
fn weight(rule: &Rule) -> usize {
    let count =
        |many: &Option<std::sync::Arc<[ipnet::IpNet]>>| many.as_ref().map_or(1, |it| it.len());
    count(&rule.sources).saturating_mul(count(&rule.destinations))
}
