//! How deep chains are nested, and how many jumps there are on all ways through them.

use std::collections::HashMap;

use super::forest::Chains;
use crate::netfilter::rule::{Hook, Rule, Target};
use crate::netfilter::{ChainName, Table};

type Known<'c> = HashMap<(Table, &'c ChainName), usize>;

/// Returns the most chains that are below each other, the first one counted.
pub(super) fn deepest(chains: &Chains) -> usize {
    let below = |depths: &mut dyn Iterator<Item = usize>| 1 + depths.max().unwrap_or(0);
    let mut known = HashMap::new();
    let depths = chains
        .keys()
        .map(|(table, name)| folded(chains, *table, name, &mut known, &below));
    depths.max().unwrap_or(0)
}

/// Returns how many jumps there are from the hooks on, those of a chain to which two ways lead twice:
/// what a walk over all rules passes that does not remember where it was.
pub(super) fn jumps(chains: &Chains, hooks: &[Hook]) -> usize {
    let below = |jumps: &mut dyn Iterator<Item = usize>| {
        jumps.fold(0, |sum: usize, jumps| {
            sum.saturating_add(jumps).saturating_add(1)
        })
    };
    let mut known = HashMap::new();
    let each = hooks.iter().map(|hook| {
        let below = folded(chains, hook.table, &hook.target, &mut known, &below);
        below.saturating_add(1)
    });
    each.fold(0, usize::saturating_add)
}

/// Works out a number of a chain from those of the chains that it leads to. Lowering makes no circles.
fn folded<'c>(
    chains: &'c Chains,
    table: Table,
    name: &'c ChainName,
    known: &mut Known<'c>,
    number: &dyn Fn(&mut dyn Iterator<Item = usize>) -> usize,
) -> usize {
    if let Some(number) = known.get(&(table, name)) {
        return *number;
    }
    let rules = chains.get(&(table, name.clone()));
    let mut below = Vec::new();
    for next in rules.into_iter().flatten().filter_map(next) {
        below.push(folded(chains, table, next, known, number));
    }
    let number = number(&mut below.into_iter());
    known.insert((table, name), number);
    number
}

fn next(rule: &Rule) -> Option<&ChainName> {
    match &rule.target {
        Target::Goto(next) | Target::Jump(next) => Some(next),
        _ => None,
    }
}
