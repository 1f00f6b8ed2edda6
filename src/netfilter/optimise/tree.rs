//! A long list whose order is free as a tree of chains.
//!
//! Each chain has a few rules, and each of them leads to a chain below, by the prefix or the ports that
//! all rules there have in common. It leads there by `-g`: what is not found below is not found at all,
//! so the end of any chain is the end of the tree. Where most rules are comes first.

use super::forest::{Forest, Site};
use super::split::{Way, keyed, split};
use crate::netfilter::rule::{Rule, Target};
use crate::netfilter::{ChainName, Table};

impl Forest {
    /// Makes a tree of a list, and the rule that calls it.
    pub(super) fn jump_to_tree(&mut self, site: &Site<'_>, list: Vec<Rule>) -> Vec<Rule> {
        let root = self.name(site.table, site.owner);
        self.tree(site.table, site.owner, &root, list);
        vec![Rule {
            target: Target::Jump(root),
            ..Rule::default()
        }]
    }

    /// Makes a tree of a list in the chain `root` and in others named after `owner`, and returns all
    /// their names.
    pub(super) fn tree(
        &mut self,
        table: Table,
        owner: &ChainName,
        root: &ChainName,
        list: Vec<Rule>,
    ) -> Vec<ChainName> {
        let leaf = self.shape.leaf(list.len());
        let mut names = Vec::new();
        let mut open = vec![(root.clone(), list)];
        while let Some((name, list)) = open.pop() {
            let body = self.node((table, owner), list, leaf, &mut open);
            self.chains.insert((table, name.clone()), body);
            names.push(name);
        }
        names
    }

    /// Makes the rules of one chain; what belongs below them is left in `open`.
    fn node(
        &mut self,
        (table, owner): (Table, &ChainName),
        list: Vec<Rule>,
        leaf: usize,
        open: &mut Vec<(ChainName, Vec<Rule>)>,
    ) -> Vec<Rule> {
        if list.len() <= leaf {
            return list;
        }
        let Some((sorted, others)) = keyed(list) else {
            return Vec::new();
        };
        let ways = self.shape.ways(sorted.len(), leaf);
        let ways = match split(sorted, ways) {
            Ok(ways) => ways,
            Err(mut list) => {
                list.extend(others);
                return list;
            }
        };
        // What the ways do not tell apart is called, not gone to: it is not all that there is.
        let mut body = self.others(table, owner, others, open);
        for Way {
            condition,
            mut rules,
        } in ways
        {
            if self.shape.few(rules.len()) {
                body.append(&mut rules);
                continue;
            }
            let name = self.name(table, owner);
            body.push(Rule {
                target: Target::Goto(name.clone()),
                ..condition
            });
            open.push((name, rules));
        }
        body
    }

    fn others(
        &mut self,
        table: Table,
        owner: &ChainName,
        others: Vec<Rule>,
        open: &mut Vec<(ChainName, Vec<Rule>)>,
    ) -> Vec<Rule> {
        if others.len() <= self.shape.leaf {
            return others;
        }
        let name = self.name(table, owner);
        open.push((name.clone(), others));
        vec![Rule {
            target: Target::Jump(name),
            ..Rule::default()
        }]
    }
}
