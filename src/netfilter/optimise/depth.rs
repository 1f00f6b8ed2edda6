//! How deep chains are nested.

use std::collections::HashMap;

use super::forest::Chains;
use crate::netfilter::rule::Target;
use crate::netfilter::{ChainName, Table};

/// Returns the most chains that are below each other, the first one counted.
pub(super) fn deepest(chains: &Chains) -> usize {
    let mut known = HashMap::new();
    let depths = chains
        .keys()
        .map(|(table, name)| depth(chains, *table, name, &mut known));
    depths.max().unwrap_or(0)
}

/// Lowering makes no circles.
fn depth<'c>(
    chains: &'c Chains,
    table: Table,
    name: &'c ChainName,
    known: &mut HashMap<(Table, &'c ChainName), usize>,
) -> usize {
    if let Some(depth) = known.get(&(table, name)) {
        return *depth;
    }
    let rules = chains.get(&(table, name.clone()));
    let below = rules
        .into_iter()
        .flatten()
        .filter_map(|rule| match &rule.target {
            Target::Goto(next) | Target::Jump(next) => Some(next),
            _ => None,
        });
    let below: Vec<&ChainName> = below.collect();
    let below = below
        .into_iter()
        .map(|next| depth(chains, table, next, known));
    let depth = 1 + below.max().unwrap_or(0);
    known.insert((table, name), depth);
    depth
}
