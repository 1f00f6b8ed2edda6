//! The chains as they grow, and how a list is cut into parts that can grow.

use std::collections::{BTreeMap, BTreeSet};

use super::answers::asks_mark_alone;
use super::plain::expand;
use super::sets::Sets;
use super::shared::gather;
use super::{Shape, weight};
use crate::netfilter::rule::{Rule, Target};
use crate::netfilter::{ChainName, Table};

pub(super) type Chains = BTreeMap<(Table, ChainName), Vec<Rule>>;

pub(super) struct Forest {
    pub(super) shape: Shape,
    pub(super) chains: Chains,
    /// Names that are taken by the draft.
    taken: BTreeSet<(Table, ChainName)>,
    pub(super) sets: Sets,
    numbers: BTreeMap<(Table, ChainName), usize>,
}

/// Where a list stands.
pub(super) struct Site<'a> {
    pub(super) table: Table,
    /// The draft's chain that it is part of.
    pub(super) owner: &'a ChainName,
    /// The packet may carry a grant that an earlier rule has given.
    pub(super) granted: bool,
}

impl Forest {
    pub(super) fn new<'a>(
        shape: Shape,
        names: impl Iterator<Item = &'a (Table, ChainName)>,
    ) -> Self {
        Forest {
            shape,
            chains: BTreeMap::new(),
            taken: names.cloned().collect(),
            sets: Sets::default(),
            numbers: BTreeMap::new(),
        }
    }

    /// Makes rules of a draft's chain.
    pub(super) fn grow(&mut self, table: Table, owner: &ChainName, rules: Vec<Rule>) {
        let mut site = Site {
            table,
            owner,
            granted: false,
        };
        let body = self.body(&mut site, rules);
        self.chains.insert((table, owner.clone()), body);
    }

    /// Returns all chains.
    pub(super) fn into_chains(mut self) -> Chains {
        self.say_shared();
        self.chains
    }

    /// Makes the rules of a list.
    pub(super) fn body(&mut self, site: &mut Site<'_>, rules: Vec<Rule>) -> Vec<Rule> {
        if self.is_short(&rules) {
            return expand(rules);
        }
        let shared = self.shared(site.table, &rules);
        let (mut body, mut rest) = (Vec::new(), rules);
        // Rules behind what was looked through for those that ask shared sets.
        let mut behind = if shared.is_empty() { 0 } else { rest.len() };
        while !rest.is_empty() {
            if rest.len() <= behind {
                let gathered;
                (gathered, behind) = gather(&shared, &mut rest);
                body.extend(self.step(site, gathered));
                continue;
            }
            if let Some(length) = self.dispatchable(&rest) {
                let behind = rest.split_off(length);
                body.extend(self.dispatch(site, rest, behind));
                return body;
            }
            let next = rest.split_off(alike(&rest));
            body.extend(self.step(site, rest));
            rest = next;
        }
        body
    }

    /// Makes the rules of a list that does one thing, and notes whether that is a grant.
    pub(super) fn step(&mut self, site: &mut Site<'_>, rules: Vec<Rule>) -> Vec<Rule> {
        let grants = rules.iter().any(|rule| rule.target == Target::SetMark);
        // What is granted has left then.
        let settles = |rule: &Rule| rule.target == Target::Return && asks_mark_alone(rule);
        let settled = rules.iter().any(settles);
        let body = self.run(site, rules);
        site.granted = (site.granted || grants) && !settled;
        body
    }

    fn is_short(&self, rules: &[Rule]) -> bool {
        let whole: usize = rules.iter().map(weight).fold(0, usize::saturating_add);
        self.shape.is_short(whole)
    }

    fn run(&mut self, site: &mut Site<'_>, rules: Vec<Rule>) -> Vec<Rule> {
        if self.is_short(&rules) {
            return expand(rules);
        }
        let (mut body, rules) = self.one_way_each(site, rules);
        body.extend(self.many_ways(site, rules));
        body
    }

    fn many_ways(&mut self, site: &mut Site<'_>, rules: Vec<Rule>) -> Vec<Rule> {
        if self.is_short(&rules) {
            return expand(rules);
        }
        let Some(target) = rules.first().map(|rule| rule.target.clone()) else {
            return rules;
        };
        let marks = matches!(site.table, Table::Mangle | Table::Filter);
        match target {
            Target::Return | Target::Goto(_) if marks => self.led_on(site, rules, &target),
            Target::Return | Target::Goto(_) => expand(rules),
            _ => self.union(site, rules, &target),
        }
    }

    /// Returns a name for a chain that a tree in the site's chain needs.
    pub(super) fn name(&mut self, table: Table, owner: &ChainName) -> ChainName {
        let number = self.numbers.entry((table, owner.clone())).or_default();
        loop {
            *number += 1;
            let name = owner.below(&format!("{number:04}"));
            if self.taken.insert((table, name.clone())) {
                return name;
            }
        }
    }

    /// Takes a name, if nobody has it.
    pub(super) fn take(&mut self, table: Table, name: &ChainName) -> bool {
        self.taken.insert((table, name.clone()))
    }

    /// Returns the name of a chain of which there is one, and makes it.
    pub(super) fn once(&mut self, table: Table, name: ChainName, rules: Vec<Rule>) -> ChainName {
        self.chains.entry((table, name.clone())).or_insert(rules);
        name
    }
}

/// Returns how many rules at the beginning of a list, at least one, do the same and ask nothing that
/// rules before them change: then one packet may meet them in any order.
pub(super) fn alike(rules: &[Rule]) -> usize {
    let Some(first) = rules.first() else { return 0 };
    if !is_free(first) {
        return 1;
    }
    let same = |rule: &&Rule| is_free(rule) && rule.target == first.target;
    rules.iter().take_while(same).count()
}

/// Returns true for a rule that asks nothing that rules before it change, and that may be met twice.
pub(super) fn is_free(rule: &Rule) -> bool {
    let asks = rule.mark || rule.connmark || rule.limit.is_some() || rule.over.is_some();
    !asks && is_idempotent(&rule.target)
}

/// Returns true where a packet that meets two rules with one target fares as if it met one.
fn is_idempotent(target: &Target) -> bool {
    match target {
        Target::Log(_) | Target::Dnat { .. } => false,
        Target::Accept
        | Target::ClearMark
        | Target::Drop
        | Target::Goto(_)
        | Target::Jump(_)
        | Target::Masquerade
        | Target::Return
        | Target::SaveMark
        | Target::SetMark => true,
    }
}
