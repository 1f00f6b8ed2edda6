//! From a draft to rules that iptables has: one rule for each prefix, or trees of chains.
//!
//! A list is walked from its top, so a packet pays for every rule above its own. Four ideas keep long
//! lists from being walked, and each has its file:
//!
//! - `union.rs`: rules in a row that do the same are one set of packets, so their order is free.
//! - `sets.rs`: many prefixes become a chain of their own, one for all rules that name the same.
//! - `tree.rs`: a long list becomes a tree of chains, four ways at each, by prefix or by port.
//! - `dispatch.rs`: rules that do different things keep their order, and are found by port.
//!
//! Lists shorter than [`Shape::list`] stay as they are. Nothing here knows the policy: what comes out is
//! proven equal to it afterwards, as the plain lists are.

mod depth;
mod dispatch;
mod forest;
mod plain;
mod sets;
mod split;
mod tree;
mod union;

use super::lower::{MAX_RULES, draft};
use super::rule::{Rule, Ruleset};
use super::{Family, TooManyRules};
use crate::policy::ir::Policy;
use forest::{Chains, Forest};
pub use plain::plain;

/// What trees look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Shorter lists stay lists.
    pub list: usize,
    /// Ways from each chain of a tree; more where the tree would be too deep else.
    pub fan_out: usize,
    /// Most chains below each other, from a hook on. nftables refuses more than 15
    /// (`NFT_JUMP_STACK_SIZE` is 16, and the hook's own chain counts).
    pub depth: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Shape {
            list: 16,
            fan_out: 4,
            depth: 15,
        }
    }
}

/// Last chains that a tree of any size has, roughly: beyond, they grow longer instead of more.
/// `iptables-nft-restore --noflush` holds each line of a table against a list of all chains that the
/// lines before it name (`cache_chain_list_insert` in `nft-cache.c` of iptables 1.8.9), so its time
/// grows with rules times chains: 300,000 rules in 100,000 chains take minutes. A packet hardly
/// feels thirty rules more.
const LEAVES: usize = 2_000;

impl Shape {
    /// Returns the most rules of the last chains in a tree of so many rules.
    fn leaf(self, rules: usize) -> usize {
        (rules / LEAVES).max(self.fan_out)
    }

    /// Returns how many ways a list is parted in, no more than fill their last chains.
    fn ways(self, rules: usize, leaf: usize) -> usize {
        rules.div_ceil(leaf.max(1)).clamp(2, self.fan_out.max(2))
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

/// Makes rules of a draft, with long lists as trees.
///
/// Errors: more than a million rules.
pub fn optimise(draft: Ruleset, shape: Shape) -> Result<Ruleset, TooManyRules> {
    let mut shape = shape;
    loop {
        let chains = grown(&draft, shape);
        // Prefixes that lie in each other make deep trees; wider ones are less deep.
        if depth::deepest(&chains) <= shape.depth || shape.fan_out > MAX_RULES {
            return checked(Ruleset { chains, ..draft });
        }
        shape.fan_out *= 2;
    }
}

fn grown(draft: &Ruleset, shape: Shape) -> Chains {
    let mut forest = Forest::new(shape, draft.chains.keys());
    for ((table, name), rules) in &draft.chains {
        forest.grow(*table, name, rules.clone());
    }
    forest.into_chains()
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
