//! How deep chains are nested, and how many jumps there are on all ways through them.

use std::collections::HashMap;

use super::forest::Chains;
use crate::netfilter::rule::{Hook, Rule, Target};
use crate::netfilter::{ChainName, Table};

/// Chains by number, each with those that it leads to. Looked up once, since a tree has thousands.
pub(super) struct Links<'c> {
    numbers: HashMap<(Table, &'c str), usize>,
    next: Vec<Vec<usize>>,
}

impl<'c> Links<'c> {
    pub(super) fn of(chains: &'c Chains) -> Self {
        let names = chains.keys().map(|(table, name)| (*table, name.as_str()));
        let numbers: HashMap<_, usize> = names.zip(0..).collect();
        let leads = |((table, _), rules): (&(Table, ChainName), &Vec<Rule>)| {
            let next = rules.iter().filter_map(next);
            let found = next.filter_map(|name| numbers.get(&(*table, name.as_str())).copied());
            found.collect()
        };
        let next = chains.iter().map(leads).collect();
        Links { numbers, next }
    }

    /// Returns the most chains that are below each other, the first one counted.
    pub(super) fn deepest(&self) -> usize {
        let below = |depths: &[usize]| 1 + depths.iter().max().unwrap_or(&0);
        let mut known = vec![None; self.next.len()];
        let depths = (0..self.next.len()).map(|at| self.folded(at, &mut known, &below));
        depths.max().unwrap_or(0)
    }

    /// Returns how many jumps there are from the hooks on, those of a chain to which two ways lead twice:
    /// what a walk over all rules passes that does not remember where it was.
    pub(super) fn jumps(&self, hooks: &[Hook]) -> usize {
        let below = |jumps: &[usize]| {
            let each = jumps.iter().map(|jumps| jumps.saturating_add(1));
            each.fold(0, usize::saturating_add)
        };
        let mut known = vec![None; self.next.len()];
        let each = hooks.iter().map(|hook| {
            let chain = self.numbers.get(&(hook.table, hook.target.as_str()));
            let below = chain.map_or(0, |at| self.folded(*at, &mut known, &below));
            below.saturating_add(1)
        });
        each.fold(0, usize::saturating_add)
    }

    /// Works out a number of a chain from those of the chains that it leads to. Lowering makes no circles.
    fn folded(
        &self,
        chain: usize,
        known: &mut [Option<usize>],
        number: &dyn Fn(&[usize]) -> usize,
    ) -> usize {
        if let Some(number) = known.get(chain).copied().flatten() {
            return number;
        }
        let next = self.next.get(chain).map_or(&[][..], Vec::as_slice);
        let mut below = Vec::with_capacity(next.len());
        for chain in next {
            below.push(self.folded(*chain, known, number));
        }
        let number = number(&below);
        if let Some(place) = known.get_mut(chain) {
            *place = Some(number);
        }
        number
    }
}

fn next(rule: &Rule) -> Option<&ChainName> {
    match &rule.target {
        Target::Goto(next) | Target::Jump(next) => Some(next),
        _ => None,
    }
}
