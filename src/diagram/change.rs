//! Functions made of one: other answers, fewer questions.

use std::collections::{BTreeMap, HashMap};

use super::store::{Answers, Level, Manager, Memo, Node};

/// What stands for a level of which the function is to know no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    Value(u128),
    /// Another level with the values 0 and 1, or its opposite.
    Bit {
        level: Level,
        not: bool,
    },
}

impl Manager {
    /// Gives other answers.
    pub fn map(&mut self, node: Node, answer: &mut dyn FnMut(u32) -> u32) -> Node {
        let answers = self.answers_of(node).own();
        let same = answers.filter(|value| answer(*value) == *value);
        let same = same
            .map(Answers::of)
            .fold(Answers::default(), Answers::union);
        let mut memo = Memo::default();
        self.map_to(node, answer, same, &mut memo)
    }

    /// Puts functions in the places of some answers. They may ask anything.
    pub fn expand_some(&mut self, node: Node, functions: &BTreeMap<u32, Node>) -> Node {
        // A marker for each answer that is to go, so that what comes in its place stays.
        let marker = |at: usize| u32::try_from(at).unwrap_or(0) + (1 << 30);
        let asking = functions.iter().filter(|it| it.1.as_answer().is_none());
        let markers: BTreeMap<u32, u32> = asking
            .clone()
            .map(|it| *it.0)
            .zip((0..).map(marker))
            .collect();
        let mut made = self.map(node, &mut |value| {
            let plain = functions.get(&value).and_then(|it| it.as_answer());
            plain.or(markers.get(&value).copied()).unwrap_or(value)
        });
        for (marker, (_, function)) in markers.values().zip(asking) {
            made = self.fill(*marker, made, *function);
        }
        made
    }

    /// Gives other answers than before, but for those that are the `same`.
    fn map_to(
        &mut self,
        node: Node,
        answer: &mut dyn FnMut(u32) -> u32,
        same: Answers,
        memo: &mut Memo<Node>,
    ) -> Node {
        if let Some(value) = node.as_answer() {
            return Node::answer(answer(value));
        }
        if self.answers_of(node).are_within(same) {
            return node;
        }
        if let Some(known) = memo.get(&node) {
            return *known;
        }
        let Some(level) = self.level(node).filter(|_| !self.is_exhausted()) else {
            return Node::NO;
        };
        let made = self.rebuild(node, level, &mut |manager, target| {
            manager.map_to(target, answer, same, memo)
        });
        memo.insert(node, made);
        made
    }

    fn rebuild(
        &mut self,
        node: Node,
        level: Level,
        with: &mut dyn FnMut(&mut Manager, Node) -> Node,
    ) -> Node {
        let base = self.stack.len();
        for at in self.edges(node) {
            let (bound, target) = self.edge(at);
            let target = with(self, target);
            self.push_edge(base, bound, target);
        }
        self.finish(level, base)
    }

    /// Puts a value in the place of a field.
    pub fn restrict(&mut self, node: Node, level: Level, value: u128) -> Node {
        self.substitute(node, &[(level, Instead::Value(value))])
    }

    /// Puts values or other fields in the places of fields, all at once. The list is by level.
    pub fn substitute(&mut self, node: Node, instead: &[(Level, Instead)]) -> Node {
        let Some(last) = instead.last() else {
            return node;
        };
        let mut memo = Memo::default();
        self.substitute_memo(node, instead, last.0, &mut memo)
    }

    fn substitute_memo(
        &mut self,
        node: Node,
        instead: &[(Level, Instead)],
        last: Level,
        memo: &mut Memo<Node>,
    ) -> Node {
        let Some(level) = self.level(node).filter(|level| *level <= last) else {
            return node;
        };
        if let Some(known) = memo.get(&node) {
            return *known;
        }
        let found = instead.binary_search_by_key(&level, |(level, _)| *level);
        let what = found.ok().and_then(|at| instead.get(at));
        let made = match what.map(|(_, what)| *what) {
            Some(Instead::Value(value)) => {
                let below = self.at(node, value);
                self.substitute_memo(below, instead, last, memo)
            }
            Some(Instead::Bit { level, not }) => {
                let (zero, one) = (
                    self.at(node, u128::from(not)),
                    self.at(node, u128::from(!not)),
                );
                let zero = self.substitute_memo(zero, instead, last, memo);
                let one = self.substitute_memo(one, instead, last, memo);
                let bit = self.bit(level);
                self.select(bit, one, zero)
            }
            None => self.replace_below(node, level, &mut |manager, target| {
                manager.substitute_memo(target, instead, last, memo)
            }),
        };
        memo.insert(node, made);
        made
    }

    /// Returns the function that is yes where a level of the values 0 and 1 is 1.
    pub fn bit(&mut self, level: Level) -> Node {
        let one = crate::net::IntervalSet::from_ranges(vec![(1, 1)]);
        self.choose(level, &one, Node::YES, Node::NO)
    }

    /// Rebuilds a node whose new targets may ask what comes before its own level.
    fn replace_below(
        &mut self,
        node: Node,
        level: Level,
        with: &mut dyn FnMut(&mut Manager, Node) -> Node,
    ) -> Node {
        let edges: Vec<(u128, Node)> = self.edges(node).map(|at| self.edge(at)).collect();
        let edges: Vec<(u128, Node)> = edges
            .into_iter()
            .map(|(bound, to)| (bound, with(self, to)))
            .collect();
        self.by_value(level, &edges)
    }

    /// Makes the function that is each target for the values up to its bound, and the last one for all
    /// above. Targets may ask anything.
    pub fn by_value(&mut self, level: Level, edges: &[(u128, Node)]) -> Node {
        let mut edges = edges.to_vec();
        if let Some(last) = edges.last_mut() {
            last.0 = self.max(level);
        }
        let below = |node: Node| self.level(node).is_none_or(|below| below > level);
        if edges.iter().all(|(_, to)| below(*to)) {
            let base = self.stack.len();
            for (bound, target) in &edges {
                self.push_edge(base, *bound, *target);
            }
            return self.finish(level, base);
        }
        let mut first = 0;
        let mut parts = Vec::with_capacity(edges.len());
        for (bound, target) in &edges {
            let set = crate::net::IntervalSet::from_ranges(vec![(first, *bound)]);
            let here = self.choose(level, &set, Node::YES, Node::NO);
            parts.push(self.guard(here, *target));
            first = bound.saturating_add(1);
        }
        self.first_of(&parts)
    }

    /// Lets a function ask one field where it asks another; the other one then is asked nowhere.
    pub fn rename(&mut self, node: Node, from: Level, to: Level) -> Node {
        let mut memo = HashMap::new();
        self.rename_memo(node, from, to, &mut memo)
    }

    fn rename_memo(
        &mut self,
        node: Node,
        from: Level,
        to: Level,
        memo: &mut HashMap<Node, Node>,
    ) -> Node {
        let Some(level) = self.level(node).filter(|level| *level <= from) else {
            return node;
        };
        if let Some(known) = memo.get(&node) {
            return *known;
        }
        let made = if level == from {
            let edges: Vec<(u128, Node)> = self.edges(node).map(|at| self.edge(at)).collect();
            self.by_value(to, &edges)
        } else {
            self.replace_below(node, level, &mut |manager, target| {
                manager.rename_memo(target, from, to, memo)
            })
        };
        memo.insert(node, made);
        made
    }

    /// Returns yes where some value of a field makes the function answer anything but 0.
    pub fn exists(&mut self, node: Node, level: Level) -> Node {
        let mut memo = Memo::default();
        self.exists_memo(node, level, &mut memo)
    }

    fn exists_memo(&mut self, node: Node, level: Level, memo: &mut Memo<Node>) -> Node {
        let Some(here) = self.level(node).filter(|here| *here <= level) else {
            return node;
        };
        if let Some(known) = memo.get(&node) {
            return *known;
        }
        let made = if here == level {
            let targets: Vec<Node> = self.edges(node).map(|at| self.edge(at).1).collect();
            self.first_of(&targets)
        } else {
            self.rebuild(node, here, &mut |manager, target| {
                manager.exists_memo(target, level, memo)
            })
        };
        memo.insert(node, made);
        made
    }
}
