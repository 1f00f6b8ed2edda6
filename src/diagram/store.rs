//! The nodes, each once.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use super::budget::{Account, Budget};
use crate::net::IntervalSet;

/// A field's place in the order in which functions ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub(super) u16);

/// A function of a [`Manager`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub(super) u32);

/// Set in the number of a node that is an answer.
const ANSWER: u32 = 1 << 31;

impl Node {
    /// The answer 0: no, or nothing decided yet.
    pub const NO: Node = Node::answer(0);
    /// The answer 1.
    pub const YES: Node = Node::answer(1);

    /// Makes the function that always gives one answer; `value` is below 2^31.
    pub const fn answer(value: u32) -> Node {
        Node(value | ANSWER)
    }

    /// Returns the answer of a function that asks nothing.
    pub fn as_answer(self) -> Option<u32> {
        (self.0 & ANSWER != 0).then_some(self.0 & !ANSWER)
    }
}

/// Which answers a function gives: a bit for each, the last one for all that have none of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Answers(u64);

impl Answers {
    /// Answers from here on share a bit.
    pub(super) const SHARED: u32 = 63;

    pub(super) fn of(answer: u32) -> Self {
        Answers(1 << answer.min(Self::SHARED))
    }

    pub(super) fn union(self, other: Self) -> Self {
        Answers(self.0 | other.0)
    }

    /// Tells whether one of them may be an answer.
    pub(super) fn may_have(self, answer: u32) -> bool {
        self.0 & Self::of(answer).0 != 0
    }

    pub(super) fn are_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Returns those with a bit of their own.
    pub(super) fn own(self) -> impl Iterator<Item = u32> {
        (0..Self::SHARED).filter(move |answer| self.may_have(*answer))
    }
}

/// A value's last one in its interval, and where it leads.
pub(super) type Edge = (u128, Node);

/// All functions that were made, and what was found out about them.
#[derive(Debug)]
pub struct Manager {
    /// Largest value of each level; the smallest is 0.
    maxima: Vec<u128>,
    levels: Vec<Level>,
    /// Where the edges of each node end; they begin where those of the node before end.
    ends: Vec<u32>,
    bounds: Vec<u128>,
    targets: Vec<Node>,
    /// The answers of each node.
    answers: Vec<Answers>,
    /// Nodes by the hash of their edges, with a part of it that most others do not have; `EMPTY`
    /// where there is none.
    slots: Vec<(u32, u32)>,
    pub(super) memo: Memo<(u32, Node, Node)>,
    /// Edges of the nodes that are being made, innermost last.
    pub(super) stack: Vec<Edge>,
    pub(super) account: Account,
    exhausted: bool,
}

const EMPTY: u32 = u32::MAX;

impl Manager {
    /// Makes a manager without levels. Beyond its budget it stops to work, see
    /// [`Manager::is_exhausted`].
    pub fn new(budget: impl Into<Budget>) -> Self {
        Manager {
            maxima: Vec::new(),
            levels: Vec::new(),
            ends: Vec::new(),
            bounds: Vec::new(),
            targets: Vec::new(),
            answers: Vec::new(),
            slots: vec![(0, EMPTY); 1 << 10],
            memo: Memo::default(),
            stack: Vec::new(),
            account: Account::new(budget.into()),
            exhausted: false,
        }
    }

    /// Adds a level below all others, with the values 0 to `max`.
    pub fn add_level(&mut self, max: u128) -> Level {
        let level = u16::try_from(self.maxima.len()).unwrap_or(u16::MAX);
        self.maxima.push(max);
        Level(level)
    }

    /// Returns true once more work was needed than may be: every function made since is worth
    /// nothing.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Counts work that is done beside the functions, and returns false once the budget is spent.
    pub fn work(&mut self, steps: usize) -> bool {
        self.account.step(steps);
        self.exhausted |= !self.account.lasts();
        !self.exhausted
    }

    /// Makes the manager take itself for exhausted.
    pub fn give_up(&mut self) {
        self.exhausted = true;
    }

    /// Returns how many edges there are.
    pub fn edge_count(&self) -> usize {
        self.bounds.len()
    }

    /// Returns the largest value of a level.
    pub fn max(&self, level: Level) -> u128 {
        self.maxima.get(usize::from(level.0)).copied().unwrap_or(0)
    }

    /// Returns the field that a function asks first; nothing for an answer.
    pub fn level(&self, node: Node) -> Option<Level> {
        self.levels.get(node.0 as usize).copied()
    }

    /// Returns the answers that a function gives.
    pub(super) fn answers_of(&self, node: Node) -> Answers {
        let known = self.answers.get(node.0 as usize).copied();
        known.unwrap_or_else(|| Answers::of(node.as_answer().unwrap_or(0)))
    }

    /// Returns the indices of a node's edges.
    pub(super) fn edges(&self, node: Node) -> std::ops::Range<usize> {
        let at = node.0 as usize;
        let end = |at: usize| self.ends.get(at).map_or(0, |end| *end as usize);
        at.checked_sub(1).map_or(0, end)..end(at)
    }

    pub(super) fn edge(&self, at: usize) -> Edge {
        let (bound, target) = (self.bounds.get(at), self.targets.get(at));
        bound
            .zip(target)
            .map_or((u128::MAX, Node::NO), |(bound, target)| (*bound, *target))
    }

    /// Makes the function that gives `inside` for the values of a set and `outside` for others. Both
    /// ask deeper levels only.
    pub fn choose(&mut self, level: Level, set: &IntervalSet, inside: Node, outside: Node) -> Node {
        let base = self.stack.len();
        let max = self.max(level);
        let (mut next, mut ends_early) = (0, true);
        for &(first, last) in set.ranges() {
            if first > max {
                break;
            }
            if let Some(before) = first.checked_sub(1).filter(|_| first > next) {
                self.push_edge(base, before, outside);
            }
            self.push_edge(base, last.min(max), inside);
            (next, ends_early) = (last.saturating_add(1), last < max);
        }
        if ends_early {
            self.push_edge(base, max, outside);
        }
        self.finish(level, base)
    }

    /// Makes the function that is `inside` where every field lies in its set, else nothing. The
    /// levels are in order and above all that `inside` asks.
    pub fn cube(&mut self, sets: &[(Level, IntervalSet)], inside: Node) -> Node {
        sets.iter().rev().fold(inside, |below, (level, set)| {
            self.choose(*level, set, below, Node::NO)
        })
    }

    /// Adds an edge to the node that is being made above `base` of the stack.
    pub(super) fn push_edge(&mut self, base: usize, bound: u128, target: Node) {
        self.account.step(1);
        let open = self.stack.len() > base;
        match self.stack.last_mut().filter(|_| open) {
            Some(last) if last.1 == target => last.0 = bound,
            _ => self.stack.push((bound, target)),
        }
    }

    /// Makes a node of the edges above `base`.
    pub(super) fn finish(&mut self, level: Level, base: usize) -> Node {
        self.exhausted |= !self.account.lasts();
        if let [(_, only)] = self.stack.get(base..).unwrap_or_default() {
            let only = *only;
            self.stack.truncate(base);
            return only;
        }
        let node = self.find_or_add(level, base);
        self.stack.truncate(base);
        node
    }

    fn find_or_add(&mut self, level: Level, base: usize) -> Node {
        if self.levels.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let edges = self.stack.get(base..).unwrap_or_default();
        let hash = hash(level, edges);
        let mut slot = self.slot(hash);
        loop {
            let (tag, found) = self.slots.get(slot).copied().unwrap_or((0, EMPTY));
            if found == EMPTY {
                break;
            }
            if tag == hash && self.is(Node(found), level, base) {
                return Node(found);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.add(level, base, slot, hash)
    }

    fn is(&self, node: Node, level: Level, base: usize) -> bool {
        let edges = self.stack.get(base..).unwrap_or_default();
        let here = self.edges(node);
        self.level(node) == Some(level)
            && here.len() == edges.len()
            && here.zip(edges).all(|(at, edge)| self.edge(at) == *edge)
    }

    fn add(&mut self, level: Level, base: usize, slot: usize, hash: u32) -> Node {
        let edges = self.stack.get(base..).unwrap_or_default();
        if !self.account.keep(edges.len()) {
            self.exhausted = true;
            return Node::NO;
        }
        let number = u32::try_from(self.levels.len()).unwrap_or(EMPTY);
        let answers = edges.iter().map(|(_, target)| self.answers_of(*target));
        let answers = answers.fold(Answers::default(), Answers::union);
        self.answers.push(answers);
        self.bounds.extend(edges.iter().map(|(bound, _)| *bound));
        self.targets.extend(edges.iter().map(|(_, target)| *target));
        self.levels.push(level);
        let end = u32::try_from(self.bounds.len()).unwrap_or(u32::MAX);
        self.ends.push(end);
        if let Some(place) = self.slots.get_mut(slot) {
            *place = (hash, number);
        }
        Node(number)
    }

    fn slot(&self, hash: u32) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    fn grow(&mut self) {
        let empty = vec![(0, EMPTY); self.slots.len() * 2];
        for (hash, number) in std::mem::replace(&mut self.slots, empty) {
            if number == EMPTY {
                continue;
            }
            let mut slot = self.slot(hash);
            while self
                .slots
                .get(slot)
                .is_some_and(|(_, found)| *found != EMPTY)
            {
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            if let Some(place) = self.slots.get_mut(slot) {
                *place = (hash, number);
            }
        }
    }
}

fn hash(level: Level, edges: &[Edge]) -> u32 {
    let mut hasher = Mixer::default();
    hasher.write_u16(level.0);
    for (bound, target) in edges {
        hasher.write_u128(*bound);
        hasher.write_u32(target.0);
    }
    // The upper half is the better mixed one.
    u32::try_from(hasher.finish() >> 32).unwrap_or(0)
}

/// What was worked out before. Numbers of nodes are no secret and nobody chooses them, so the hash
/// may be a quick one.
pub(super) type Memo<K> = HashMap<K, Node, BuildHasherDefault<Mixer>>;

/// What was looked at before, with the same hash.
pub(super) type Seen = HashSet<Node, BuildHasherDefault<Mixer>>;

/// A multiplicative hash, after D. Knuth, "The Art of Computer Programming", volume 3, section 6.4.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.mix(u64::from(*byte));
        }
    }

    fn write_u16(&mut self, word: u16) {
        self.mix(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(word.into());
    }

    #[expect(clippy::cast_possible_truncation, reason = "both halves are mixed in")]
    fn write_u128(&mut self, word: u128) {
        self.mix(word as u64);
        self.mix((word >> 64) as u64);
    }
}
