//! Looking at conditions: what holds for every value of some fields, and how much of all holds.

use std::collections::{BTreeMap, HashMap};

use super::store::{Level, Manager, Memo, Node};
use crate::net::IntervalSet;

impl Manager {
    /// Returns the condition on the levels of `keep` that a condition holds for all values of the other
    /// levels: those of `within`, and where it names none every one.
    pub fn every(
        &mut self,
        node: Node,
        within: &BTreeMap<Level, IntervalSet>,
        keep: &[Level],
    ) -> Node {
        let mut memo = Memo::default();
        self.every_memo(node, within, keep, &mut memo)
    }

    fn every_memo(
        &mut self,
        node: Node,
        within: &BTreeMap<Level, IntervalSet>,
        keep: &[Level],
        memo: &mut Memo<Node>,
    ) -> Node {
        let Some(level) = self.level(node) else {
            return node;
        };
        if let Some(known) = memo.get(&node) {
            return *known;
        }
        let made = if keep.contains(&level) {
            let parts = self.branches(node).into_iter();
            let parts: Vec<(u128, Node)> = parts
                .map(|(_, last, to)| (last, self.every_memo(to, within, keep, memo)))
                .collect();
            self.by_value(level, &parts)
        } else {
            self.all_below(node, within.get(&level), &mut |manager, to| {
                manager.every_memo(to, within, keep, memo)
            })
        };
        memo.insert(node, made);
        made
    }

    /// Joins what holds below a node for each value of a set.
    fn all_below(
        &mut self,
        node: Node,
        set: Option<&IntervalSet>,
        below: &mut dyn FnMut(&mut Manager, Node) -> Node,
    ) -> Node {
        let mut all = Node::YES;
        for (first, last, to) in self.branches(node) {
            let here = IntervalSet::from_ranges(vec![(first, last)]);
            if set.is_some_and(|set| !set.overlaps(&here)) {
                continue;
            }
            let holds = below(self, to);
            all = self.guard(all, holds);
            if all == Node::NO {
                break;
            }
        }
        all
    }

    /// Returns which part of all packets a condition holds for, from 0 to 1.
    pub fn share(&self, node: Node) -> f64 {
        self.share_memo(node, &mut HashMap::new())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a share is told in whole percent"
    )]
    fn share_memo(&self, node: Node, memo: &mut HashMap<Node, f64>) -> f64 {
        let Some(level) = self.level(node) else {
            return if node == Node::NO { 0.0 } else { 1.0 };
        };
        if let Some(known) = memo.get(&node) {
            return *known;
        }
        let all = self.max(level) as f64 + 1.0;
        let branches = self.branches(node).into_iter();
        let part =
            |(first, last, to)| ((last - first) as f64 + 1.0) / all * self.share_memo(to, memo);
        let made = branches.map(part).sum();
        memo.insert(node, made);
        made
    }
}
