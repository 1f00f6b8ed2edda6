//! Which conditions of many add nothing to the union of all others.
//!
//! Conditions are halved again and again, and what the others cover is looked at only where the half
//! in question reaches: so that many which have little in common take n log n time.

use crate::diagram::{Level, Manager, Node, Wanted};
use crate::meaning::policy::Says;

/// A condition for each hook of every family and host, in one order.
pub(super) type Row = Vec<Node>;

/// How many that cover a packet are looked at.
const MAX_CANDIDATES: usize = 8;

/// How long a packet of an item is looked for before it has to be worked out.
const MAX_STEPS: usize = 1_000;

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

    pub(super) fn union(&mut self, rows: &[&Row]) -> Row {
        self.together(rows, Manager::first_of)
    }

    /// Works out a row of many; nothing of none.
    fn together(&mut self, rows: &[&Row], with: fn(&mut Manager, &[Node]) -> Node) -> Row {
        let len = rows.first().map_or(0, |row| row.len());
        let each = (len / self.0.len().max(1)).max(1);
        let mut made = Row::with_capacity(len);
        for place in 0..len {
            let column = rows.iter().filter_map(|row| row.get(place).copied());
            let column: Vec<Node> = column.collect();
            let says = self.0.get_mut(place / each);
            made.extend(says.map(|says| with(&mut says.space.diagrams, &column)));
        }
        made
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
        self.ask(row, packet).is_some_and(|answer| answer != 0)
    }

    fn ask(&self, row: &Row, packet: &Packet) -> Option<u32> {
        let says = self.at(packet.place, row.len())?;
        let node = row.get(packet.place)?;
        let value = |level| packet.value(level);
        Some(says.space.diagrams.evaluate(*node, &value))
    }

    /// Tells of each item whether it does something for a packet that no other item covers, among those
    /// for which some rows hold, or do not. Of items that do, not all are found.
    pub(super) fn alone(&self, counted: &Row, items: &[Item], among: &[(&Row, bool)]) -> Vec<bool> {
        let is_alone = |item: &Item| {
            let packet = self.meeting(&item.all, among)?;
            let itself = u32::from(self.holds(&item.surely, &packet));
            Some(self.ask(counted, &packet)? == itself)
        };
        let is_alone = |item| is_alone(item).unwrap_or(false);
        items.iter().map(is_alone).collect()
    }

    /// Returns a row of how many items cover a packet: 0, 1, or 2 for more.
    pub(super) fn counted(&mut self, items: &[Item]) -> Row {
        let rows: Vec<&Row> = items.iter().map(|item| &item.surely).collect();
        self.together(&rows, Manager::count)
    }

    /// Returns a packet of a row for which others hold, or do not.
    fn meeting(&self, row: &Row, among: &[(&Row, bool)]) -> Option<Packet> {
        (0..row.len()).find_map(|place| {
            let others = among
                .iter()
                .filter_map(|(other, yes)| Some((*other.get(place)?, *yes)));
            let own = (*row.get(place)?, true);
            let wanted: Vec<Wanted> = [own].into_iter().chain(others).collect();
            let diagrams = &self.at(place, row.len())?.space.diagrams;
            let values = diagrams.meeting(&wanted, MAX_STEPS)?;
            Some(Packet { place, values })
        })
    }

    /// Returns which items are needless, the last ones first: all of them may go at once.
    pub(super) fn needless(&mut self, items: &mut [Item]) -> Vec<usize> {
        let counted = self.counted(items);
        let alone = self.alone(&counted, items, &[]);
        for (item, alone) in items.iter_mut().zip(alone) {
            item.stays |= alone;
        }
        let mut found = Vec::new();
        if items.iter().all(|item| item.stays) {
            return found;
        }
        if let Some(tree) = self.tree(items, 0) {
            let nothing = vec![Node::NO; tree.all.len()];
            self.kept(&tree, &nothing, &mut found);
        }
        found
    }

    /// Returns what is covered by those of a tree that have to stay where `others` is covered, too.
    fn kept(&mut self, tree: &Tree, others: &Row, found: &mut Vec<usize>) -> Row {
        if tree.stays {
            return tree.surely.clone();
        }
        let (left, right) = match &tree.below {
            Below::Halves(halves) => (&halves.0, &halves.1),
            Below::Item(at) => {
                let rest = self.except(&tree.all, others);
                if !is_nothing(&rest) {
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
                    stays: left.stays && right.stays,
                    below: Below::Halves(Box::new((left, right))),
                });
            }
        };
        Some(Tree {
            all: item.all.clone(),
            surely: item.surely.clone(),
            stays: item.stays,
            below: Below::Item(first),
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
            Below::Item(at) => found.push((*at, &tree.surely)),
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
    /// None of its items is needless.
    stays: bool,
    below: Below,
}

#[derive(Debug)]
enum Below {
    Item(usize),
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
