//! Many functions at once. Going through their values side by side makes no node that is not part of
//! what they become, where joining two at a time makes one for each half of each half.

use super::store::{Level, Manager, Memo, Node};

/// Most functions that are looked at for all values of a level, as a multiple of what each of them says of
/// it. Those that overlap more are joined by halves.
const MAX_OVERLAP: usize = 8;

/// What the answers of many become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    /// The first that is not 0.
    First,
    /// Their sum, if it is at most 2.
    Sum,
}

/// Lists that were joined before.
type Known = Memo<Vec<Node>>;

/// Where one of the functions leads for some values, unless it says no.
#[derive(Debug, Clone, Copy)]
struct Part {
    first: u128,
    last: u128,
    /// The function's place among all.
    at: usize,
    to: Node,
}

/// Where all functions lead, for one interval after the other.
#[derive(Debug, Default)]
struct Swept {
    /// The last value of each interval, and where its list ends.
    intervals: Vec<(u128, usize)>,
    lists: Vec<Node>,
}

impl Manager {
    /// Returns the first answer that is not 0, of all functions in their order.
    pub fn first_of(&mut self, all: &[Node]) -> Node {
        self.join(Join::First, all, &mut Known::default())
    }

    /// Returns how many conditions hold: 0, 1, or 2 for more than one.
    pub fn count(&mut self, all: &[Node]) -> Node {
        self.join(Join::Sum, all, &mut Known::default())
    }

    fn join(&mut self, join: Join, all: &[Node], known: &mut Known) -> Node {
        if let Some(made) = self.few(join, all) {
            return made;
        }
        let all = shortened(join, all);
        if let Some(made) = self.few(join, &all).or_else(|| known.get(&all).copied()) {
            return made;
        }
        if self.is_exhausted() {
            return Node::NO;
        }
        let made = self.side_by_side(join, &all, known);
        let made = made.unwrap_or_else(|| self.halved(join, &all, known));
        known.insert(all, made);
        made
    }

    fn few(&mut self, join: Join, all: &[Node]) -> Option<Node> {
        match *all {
            [] => Some(Node::NO),
            [only] => Some(only),
            [a, b] => Some(self.two(join, a, b)),
            _ => None,
        }
    }

    fn two(&mut self, join: Join, a: Node, b: Node) -> Node {
        match join {
            Join::First => self.or_else(a, b),
            Join::Sum => self.sum(a, b),
        }
    }

    fn halved(&mut self, join: Join, all: &[Node], known: &mut Known) -> Node {
        let (left, right) = all.split_at(all.len() / 2);
        let left = self.join(join, left, known);
        let right = self.join(join, right, known);
        self.two(join, left, right)
    }

    /// Joins what functions say of each value of a level; nothing where too many of them overlap.
    fn side_by_side(&mut self, join: Join, all: &[Node], known: &mut Known) -> Option<Node> {
        let level = all.iter().filter_map(|node| self.level(*node)).min()?;
        let parts = self.parts(level, all);
        self.account.step(parts.len());
        let swept = swept(&parts, self.max(level))?;
        self.account.step(swept.lists.len());
        let base = self.stack.len();
        let mut start = 0;
        for (last, end) in swept.intervals {
            let here = swept.lists.get(start..end).unwrap_or_default();
            let to = self.join(join, here, known);
            self.push_edge(base, last, to);
            start = end;
        }
        Some(self.finish(level, base))
    }

    /// Returns what all functions say of a level, by the first value that it is said of.
    fn parts(&self, level: Level, all: &[Node]) -> Vec<Part> {
        let mut parts = Vec::with_capacity(all.len());
        for (at, node) in all.iter().enumerate() {
            if self.level(*node) != Some(level) {
                let (first, last, to) = (0, self.max(level), *node);
                parts.push(Part {
                    first,
                    last,
                    at,
                    to,
                });
                continue;
            }
            let mut first = 0;
            for edge in self.edges(*node) {
                let (last, to) = self.edge(edge);
                if to != Node::NO {
                    parts.push(Part {
                        first,
                        last,
                        at,
                        to,
                    });
                }
                first = last.saturating_add(1);
            }
        }
        parts.sort_by_key(|part| part.first);
        parts
    }
}

/// Takes out what adds nothing.
fn shortened(join: Join, all: &[Node]) -> Vec<Node> {
    let mut short = Vec::with_capacity(all.len());
    let mut sum = 0;
    for node in all.iter().filter(|node| **node != Node::NO) {
        short.push(*node);
        let Some(answer) = node.as_answer() else {
            continue;
        };
        sum += answer;
        match join {
            Join::First => break,
            Join::Sum if sum >= 2 => return vec![Node::answer(2)],
            Join::Sum => {}
        }
    }
    if join == Join::First {
        short.dedup();
    }
    short
}

/// Goes through all values up to `max`.
fn swept(parts: &[Part], max: u128) -> Option<Swept> {
    let most = MAX_OVERLAP * parts.len();
    let mut swept = Swept::default();
    let mut later = parts.iter().peekable();
    let mut active: Vec<Part> = Vec::new();
    let mut value = 0;
    loop {
        active.retain(|part| part.last >= value);
        let before = active.len();
        while let Some(part) = later.next_if(|part| part.first <= value) {
            active.push(*part);
        }
        if before > 0 && active.len() > before {
            active.sort_by_key(|part| part.at);
        }
        swept.lists.extend(active.iter().map(|part| part.to));
        if swept.lists.len() > most {
            return None;
        }
        let next = later.peek().map_or(max, |part| part.first - 1);
        let last = active.iter().map(|part| part.last).fold(next, u128::min);
        swept.intervals.push((last, swept.lists.len()));
        if last >= max {
            return Some(swept);
        }
        value = last + 1;
    }
}
