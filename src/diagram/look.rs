//! Looking at functions: single packets, witnesses, and sets of values.

use super::store::{Level, Manager, Node};
use crate::net::IntervalSet;

impl Manager {
    /// Returns the function below a node for one value of the field that it asks.
    pub fn at(&self, node: Node, value: u128) -> Node {
        self.edge(self.edge_at(node, value)).1
    }

    /// Returns the index of a node's edge for a value.
    pub(super) fn edge_at(&self, node: Node, value: u128) -> usize {
        let edges = self.edges(node);
        let (mut low, mut high) = (edges.start, edges.end);
        while low < high {
            let middle = low.midpoint(high);
            if self.edge(middle).0 < value {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Returns the answer for a packet whose fields `value` tells.
    pub fn evaluate(&self, node: Node, value: &dyn Fn(Level) -> u128) -> u32 {
        let mut node = node;
        loop {
            match (node.as_answer(), self.level(node)) {
                (Some(answer), _) => return answer,
                (None, Some(level)) => node = self.at(node, value(level)),
                (None, None) => return 0,
            }
        }
    }

    /// Returns the intervals of a node with where they lead.
    pub fn branches(&self, node: Node) -> Vec<(u128, u128, Node)> {
        let mut first = 0;
        let mut found = Vec::new();
        for at in self.edges(node) {
            let (bound, target) = self.edge(at);
            found.push((first, bound, target));
            first = bound.saturating_add(1);
        }
        found
    }

    /// Returns values for which the answer is not 0, as few fields as it takes; the first branch that
    /// `prefer` likes best at each level. `None` where the answer is always 0.
    pub fn witness(
        &self,
        node: Node,
        prefer: &dyn Fn(Level, u128, u128) -> (u32, u128),
    ) -> Option<Vec<(Level, u128)>> {
        let mut found = Vec::new();
        let mut node = node;
        while let Some(level) = self.level(node) {
            // Every node that is not the answer 0 leads to another answer.
            let branches = self.branches(node).into_iter();
            let live = branches.filter(|(.., to)| *to != Node::NO);
            let best = live.map(|(first, last, to)| (prefer(level, first, last), to));
            let ((_, value), to) = best.min_by_key(|((rank, value), _)| (*rank, *value))?;
            found.push((level, value));
            node = to;
        }
        (node != Node::NO).then_some(found)
    }

    /// Returns the values of a field for which a function, with all other fields as they may be, is
    /// not always 0.
    pub fn values(&mut self, node: Node, level: Level) -> IntervalSet {
        let mut ranges = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            if node == Node::NO || !seen.insert(node) {
                continue;
            }
            match self.level(node) {
                Some(here) if here < level => {
                    open.extend(self.branches(node).into_iter().map(|(.., to)| to));
                }
                Some(here) if here == level => {
                    let live = self.branches(node).into_iter();
                    let live = live.filter(|(.., to)| *to != Node::NO);
                    ranges.extend(live.map(|(first, last, _)| (first, last)));
                }
                _ => return IntervalSet::from_ranges(vec![(0, self.max(level))]),
            }
        }
        IntervalSet::from_ranges(ranges)
    }

    /// Returns the fields that a function asks.
    pub fn asked(&self, node: Node) -> std::collections::BTreeSet<Level> {
        let mut seen = std::collections::HashSet::new();
        let mut found = std::collections::BTreeSet::new();
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            if let Some(level) = self.level(node).filter(|_| seen.insert(node)) {
                found.insert(level);
                open.extend(self.branches(node).into_iter().map(|(.., to)| to));
            }
        }
        found
    }
}
