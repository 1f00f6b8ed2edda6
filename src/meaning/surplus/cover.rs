//! Which conditions of many add nothing to the union of all others.
//!
//! Conditions are halved again and again, and what the others cover is looked at only where the half
//! in question reaches: so that many which have little in common take n log n time.

use crate::diagram::{Level, Manager, Node};
use crate::meaning::policy::Says;

/// A condition for each hook of every family and host, in one order.
pub(super) type Row = Vec<Node>;

/// How many that cover a packet are looked at.
const MAX_CANDIDATES: usize = 8;

/// Something that may be covered, and may cover.
#[derive(Debug)]
pub(super) struct Item {
    /// What the others have to cover.
    pub all: Row,
    /// What it covers.
    pub surely: Row,
    /// It is never found to be needless.
    pub stays: bool,
}

/// All that is worked out in, host by host and family by family.
#[derive(Debug)]
pub(super) struct Spaces<'p>(pub Vec<Says<'p>>);

impl Spaces<'_> {
    /// Works out a row of two; a row has equally many conditions in each space.
    fn zip(&mut self, a: &Row, b: &Row, with: fn(&mut Manager, Node, Node) -> Node) -> Row {
        let each = a.len() / self.0.len().max(1);
        let pairs = a.chunks(each.max(1)).zip(b.chunks(each.max(1)));
        let mut made = Vec::with_capacity(a.len());
        for (says, (a, b)) in self.0.iter_mut().zip(pairs) {
            let diagrams = &mut says.space.diagrams;
            made.extend(a.iter().zip(b).map(|(a, b)| with(diagrams, *a, *b)));
        }
        made
    }

    pub(super) fn or(&mut self, a: &Row, b: &Row) -> Row {
        self.zip(a, b, Manager::or_else)
    }

    pub(super) fn and(&mut self, a: &Row, b: &Row) -> Row {
        self.zip(a, b, Manager::guard)
    }

    pub(super) fn except(&mut self, a: &Row, b: &Row) -> Row {
        self.zip(a, b, Manager::except)
    }

    pub(super) fn union(&mut self, rows: &[Row]) -> Row {
        match rows {
            [] => Row::new(),
            [only] => only.clone(),
            _ => {
                let (left, right) = rows.split_at(rows.len() / 2);
                let (left, right) = (self.union(left), self.union(right));
                self.or(&left, &right)
            }
        }
    }

    pub(super) fn are_exhausted(&self) -> bool {
        let mut all = self.0.iter();
        all.any(|says| says.space.diagrams.is_exhausted())
    }

    /// Returns the space of a place in rows of `len`.
    pub(super) fn at(&self, place: usize, len: usize) -> Option<&Says<'_>> {
        self.0.get(place / (len / self.0.len().max(1)).max(1))
    }

    /// Returns a packet of a row, and the place of the condition that holds for it.
    pub(super) fn packet(&self, row: &Row) -> Option<Packet> {
        let place = row.iter().position(|node| *node != Node::NO)?;
        let says = self.at(place, row.len())?;
        let values = says
            .space
            .diagrams
            .witness(*row.get(place)?, &|_, first, _| (0, first))?;
        Some(Packet { place, values })
    }

    fn holds(&self, row: &Row, packet: &Packet) -> bool {
        let says = self.at(packet.place, row.len());
        let found = says.zip(row.get(packet.place));
        found.is_some_and(|(says, node)| {
            let value = |level| packet.value(level);
            says.space.diagrams.evaluate(*node, &value) != 0
        })
    }

    /// Returns which items are needless, the last ones first: all of them may go at once.
    pub(super) fn needless(&mut self, items: &[Item]) -> Vec<usize> {
        let mut found = Vec::new();
        if let Some(tree) = self.tree(items, 0) {
            let nothing = vec![Node::NO; tree.all.len()];
            self.kept(&tree, &nothing, &mut found);
        }
        found
    }

    /// Returns what is covered by those of a tree that have to stay where `others` is covered, too.
    fn kept(&mut self, tree: &Tree, others: &Row, found: &mut Vec<usize>) -> Row {
        let (left, right) = match &tree.below {
            Below::Halves(halves) => (&halves.0, &halves.1),
            Below::Item { at, stays } => {
                let rest = self.except(&tree.all, others);
                if *stays || !is_nothing(&rest) {
                    return tree.surely.clone();
                }
                found.push(*at);
                return vec![Node::NO; rest.len()];
            }
        };
        let around = self.or(others, &left.surely);
        let around = self.and(&right.all, &around);
        let later = self.kept(right, &around, found);
        let around = self.or(others, &later);
        let around = self.and(&left.all, &around);
        let earlier = self.kept(left, &around, found);
        self.or(&earlier, &later)
    }

    /// Returns the unions of a list whose first place is `first`; nothing of an empty one.
    pub(super) fn tree(&mut self, items: &[Item], first: usize) -> Option<Tree> {
        let item = match items {
            [] => return None,
            [item] => item,
            _ => {
                let (left, right) = items.split_at(items.len() / 2);
                let middle = first + left.len();
                let (left, right) = (self.tree(left, first)?, self.tree(right, middle)?);
                return Some(Tree {
                    all: self.or(&left.all, &right.all),
                    surely: self.or(&left.surely, &right.surely),
                    below: Below::Halves(Box::new((left, right))),
                });
            }
        };
        Some(Tree {
            all: item.all.clone(),
            surely: item.surely.clone(),
            below: Below::Item {
                at: first,
                stays: item.stays,
            },
        })
    }

    /// Takes from a row what at most `most` items of a tree cover of it, and tells which.
    pub(super) fn covering(&mut self, tree: &Tree, rest: &mut Row, most: usize) -> Vec<usize> {
        let mut found = Vec::new();
        while found.len() < most {
            let Some(packet) = self.packet(rest) else {
                break;
            };
            let mut candidates = Vec::new();
            self.holding(tree, &packet, &mut candidates);
            let lefts = candidates.into_iter().map(|(at, row)| {
                let left = self.except(rest, row);
                (at, left)
            });
            let lefts: Vec<(usize, Row)> = lefts.collect();
            let whole = lefts.iter().position(|(_, left)| is_nothing(left));
            let Some((at, left)) = lefts.into_iter().nth(whole.unwrap_or(0)) else {
                break;
            };
            found.push(at);
            *rest = left;
        }
        found
    }

    /// Finds the first items of a tree that cover a packet.
    fn holding<'t>(&self, tree: &'t Tree, packet: &Packet, found: &mut Vec<(usize, &'t Row)>) {
        if found.len() >= MAX_CANDIDATES || !self.holds(&tree.surely, packet) {
            return;
        }
        match &tree.below {
            Below::Item { at, .. } => found.push((*at, &tree.surely)),
            Below::Halves(halves) => {
                self.holding(&halves.0, packet, found);
                self.holding(&halves.1, packet, found);
            }
        }
    }
}

/// Unions of ever smaller parts of a list.
#[derive(Debug)]
pub(super) struct Tree {
    all: Row,
    pub(super) surely: Row,
    below: Below,
}

#[derive(Debug)]
enum Below {
    Item { at: usize, stays: bool },
    Halves(Box<(Tree, Tree)>),
}

/// A packet at one place of a row.
#[derive(Debug)]
pub(super) struct Packet {
    pub place: usize,
    values: Vec<(Level, u128)>,
}

impl Packet {
    /// Fields that nothing asked may be anything.
    pub(super) fn value(&self, level: Level) -> u128 {
        let mut values = self.values.iter();
        let found = values.find(|(asked, _)| *asked == level);
        found.map_or(0, |(_, value)| *value)
    }
}

pub(super) fn is_nothing(row: &Row) -> bool {
    row.iter().all(|node| *node == Node::NO)
}
