//! Which new connections one set of rules allows that another does not, and which it leads elsewhere.

use std::collections::BTreeSet;

use thiserror::Error;

use super::connections::{changes, never, spoofed};
use super::names::{Names, Words};
use super::probe::probe;
use super::quiet::Unnoticed;
use super::reasons::{Reason, reason};
use super::services;
use super::side::Side;
use crate::diagram::Node;
use crate::meaning::{Field, Journey, MAX_EDGES, Product, Space, TooDeep};
use crate::net::{Family, IntervalSet};
use crate::netfilter::trace::Machine;
use crate::policy::ir::Policy;

/// Most sets of connections that are told of one family.
const MAX_SETS: usize = 100;
/// Most parts of one set's services whose lines are looked up.
const MAX_ITEMS: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unknowable {
    #[error("the rules are too many and too various: it is not known what they do")]
    Exhausted,
    #[error(transparent)]
    TooDeep(#[from] TooDeep),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Opens,
    Closes,
    Moves,
}

/// Connections that are told in one word: they would make many rows, and few people make them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aside {
    /// To an address that several receive.
    Shared,
    /// From an address of another network.
    Spoofed,
}

/// Connections that change alike, by the same lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub change: Change,
    pub before: Reason,
    pub after: Reason,
    pub from: Words,
    /// The interfaces that they come by, where those are not the usual ones.
    pub by: Option<String>,
    pub to: Words,
    pub services: Words,
    /// Matches that only the kernel can answer, and the answer with which this is so.
    pub taken: Vec<(String, bool)>,
    /// Of what one must be so on the machine that saved rules are from, in words; they do not tell.
    pub only: Vec<String>,
    pub families: Vec<Family>,
}

/// All that differs, in a form for people and one for functions.
#[derive(Debug)]
pub struct Diff {
    pub rows: Vec<Row>,
    /// What changes besides, which no row is about.
    pub aside: BTreeSet<(Aside, Change)>,
    /// Where the rows do not tell everything, the part that they do, from 0 to 1.
    pub told: Option<f64>,
    /// What saved rules name and nothing was asked about, in words.
    pub unasked: Vec<String>,
    /// Rules of one text alone that no row is about.
    pub unnoticed: Vec<Unnoticed>,
}

/// What differs in one family.
#[derive(Debug)]
pub struct Differences {
    pub space: Space,
    /// To the number of a change, and to 0 where both do the same.
    pub changes: Node,
    /// Connections that nobody can make.
    pub never: Node,
    /// Connections that are told in one word for each change, and in no row.
    pub aside: [Node; 2],
    set_aside: BTreeSet<(Aside, Change)>,
    /// Each with the connections that it is about.
    pub rows: Vec<(Row, Node)>,
    told: Option<f64>,
}

impl Row {
    /// Tells whether another row says the same of other services.
    fn is_like(&self, other: &Row) -> bool {
        let plain = |row: &Row| {
            let mut row = row.clone();
            row.services = Words::default();
            row.before.ports.clear();
            row.after.ports.clear();
            row
        };
        plain(self) == plain(other)
    }
}

impl Differences {
    /// Tells whether some connection differs, or may.
    pub fn differs(&self) -> bool {
        !self.rows.is_empty() || !self.set_aside.is_empty() || self.told.is_some()
    }
}

impl Diff {
    /// Joins the differences of all families.
    pub fn of(all: Vec<Differences>) -> Self {
        let told = all.iter().filter_map(|one| one.told).reduce(f64::min);
        let aside = all.iter().flat_map(|one| &one.set_aside);
        let aside = aside.copied().collect();
        let rows = all.into_iter().flat_map(|one| one.rows);
        Diff {
            aside,
            rows: joined(rows.map(|(row, _)| row).collect()),
            told,
            unasked: Vec::new(),
            unnoticed: Vec::new(),
        }
    }
}

/// Compares what two sets of rules of one family do on one host; see
/// [`on_one_host`](super::on_one_host).
pub fn differences(before: &Side, after: &Side) -> Result<Differences, Unknowable> {
    differences_within(before, after, MAX_EDGES)
}

/// Like [`differences`], with no more than so many edges of diagrams.
pub fn differences_within(
    before: &Side,
    after: &Side,
    max_edges: usize,
) -> Result<Differences, Unknowable> {
    let policies: Vec<&Policy> = [before, after]
        .iter()
        .filter_map(|side| side.policy.as_ref())
        .collect();
    let mut names = Names::new(&policies, &after.machine);
    names.add_known(&after.known);
    let uplinks = policies.iter().flat_map(|policy| &policy.host.uplinks);
    let uplinks: Vec<&str> = uplinks.map(|name| name.0.as_str()).collect();
    let machines = [&before.machine, &after.machine];
    let mut space = Journey::space(&machines, &uplinks, max_edges);
    let one = Journey::new(&mut space, &before.machine)?;
    let two = Journey::new(&mut space, &after.machine)?;
    let (changes, kinds) = changes(&mut space, &one, &two);
    let never = never(&mut space, &names);
    let spoofed = spoofed(&mut space, &names);
    let shared = space.within(Field::Destination, &names.shared);
    let mut search = Search {
        space,
        names,
        before: &before.machine,
        after: &after.machine,
        changes,
        never,
        aside: [(Aside::Shared, shared), (Aside::Spoofed, spoofed)],
        set_aside: BTreeSet::new(),
        rows: Vec::new(),
        sets: 0,
        whole: 0.0,
        missing: 0.0,
        is_complete: true,
    };
    for (number, change) in (1..).zip(kinds) {
        search.change(number, change);
    }
    search.end()
}

/// The rows of one family while they are found.
struct Search<'m> {
    space: Space,
    names: Names,
    before: &'m Machine,
    after: &'m Machine,
    changes: Node,
    never: Node,
    aside: [(Aside, Node); 2],
    set_aside: BTreeSet<(Aside, Change)>,
    rows: Vec<Found>,
    sets: usize,
    whole: f64,
    missing: f64,
    is_complete: bool,
}

/// A row, what it asks for and all that it is about.
struct Found {
    row: Row,
    service: Node,
    node: Node,
}

impl Search<'_> {
    fn change(&mut self, number: u32, change: Change) {
        let manager = &mut self.space.diagrams;
        let all = manager.map(self.changes, &mut |it| u32::from(it == number));
        let all = manager.except(all, self.never);
        for (aside, node) in self.aside {
            if manager.guard(node, all) != Node::NO {
                self.set_aside.insert((aside, change));
            }
        }
        let none = self.space.atom("");
        let host = self.space.is(Field::Input, none);
        let [(_, shared), (_, spoofed)] = self.aside;
        let manager = &mut self.space.diagrams;
        let free = manager.or_else(self.never, spoofed);
        let (all, free) = (manager.except(all, shared), manager.except(free, shared));
        let others = (manager.except(all, host), manager.except(free, host));
        let own = (manager.guard(host, all), manager.guard(host, free));
        // The host itself is told apart: it comes by no interface.
        for (own, (holds, free)) in [(false, others), (true, own)] {
            let limit = MAX_SETS.saturating_sub(self.sets);
            let cover = self.space.cover(holds, free, limit);
            self.sets += cover.products.len();
            let wanted = self.space.diagrams.except(holds, free);
            self.whole += self.space.diagrams.share(wanted);
            self.missing += self.space.diagrams.share(cover.rest);
            self.is_complete &= cover.rest == Node::NO;
            for product in &cover.products {
                self.product(change, own, product, wanted);
            }
        }
    }

    /// Splits the services of a product by the lines that decide about them.
    fn product(&mut self, change: Change, own: bool, product: &Product, wanted: Node) {
        let taken = product.taken(&self.space).into_iter();
        let taken: Vec<(String, bool)> = taken.map(|(it, holds)| (it.to_owned(), holds)).collect();
        let all = product.node(&mut self.space);
        let all = self.space.diagrams.guard(all, wanted);
        for ((before, after), service) in self.reasons(change, product.service, all, &taken) {
            let row = Row {
                change,
                before,
                after,
                from: self.from(own, product),
                by: self.by(own, product),
                to: self.to(own, product),
                services: Words::default(),
                taken: taken.clone(),
                only: Vec::new(),
                families: vec![self.space.family],
            };
            let node = self.space.diagrams.guard(all, service);
            self.found(Found { row, service, node });
        }
    }

    /// Adds a row, to one that says the same of other services where there is one.
    fn found(&mut self, found: Found) {
        let same = |known: &&mut Found| known.row.is_like(&found.row);
        match self.rows.iter_mut().find(same) {
            Some(known) => {
                known.row.before.ports.extend(&found.row.before.ports);
                known.row.after.ports.extend(&found.row.after.ports);
                let manager = &mut self.space.diagrams;
                known.service = manager.or_else(known.service, found.service);
                known.node = manager.or_else(known.node, found.node);
            }
            None => self.rows.push(found),
        }
    }

    fn reasons(
        &mut self,
        change: Change,
        service: Node,
        all: Node,
        taken: &[(String, bool)],
    ) -> Vec<((Reason, Reason), Node)> {
        let items = services::items(&mut self.space, service);
        let nodes: Vec<Node> = if items.len() > MAX_ITEMS {
            vec![service]
        } else {
            items.into_iter().map(|item| item.node).collect()
        };
        let likely = self.names.likely(&self.space);
        let mut found: Vec<((Reason, Reason), Node)> = Vec::new();
        for item in nodes {
            let these = self.space.diagrams.guard(all, item);
            let Some(witness) = self.space.witness(these, &likely) else {
                continue;
            };
            let probe = probe(&self.space, &witness);
            let told = |machine, arrives| reason(machine, &probe, taken, arrives, &self.names);
            let before = told(self.before, change != Change::Opens);
            let after = told(self.after, change != Change::Closes);
            found.push(((before, after), item));
        }
        found
    }

    fn from(&self, own: bool, product: &Product) -> Words {
        let set = product.values(&self.space, Field::Source);
        if !own {
            let free = self.names.own.union(&self.names.loopback);
            return self.names.sources(&set, &free);
        }
        let all = self.names.own.difference(&set).is_empty();
        let these = self.names.own.intersection(&set);
        let these = self.names.sources(&these, &IntervalSet::default());
        Words::of(vec![if all {
            "host".to_owned()
        } else {
            format!("host from {these}")
        }])
    }

    fn by(&self, own: bool, product: &Product) -> Option<String> {
        let (inputs, sources) = (
            product.values(&self.space, Field::Input),
            product.values(&self.space, Field::Source),
        );
        let by = || self.names.by(&self.space, &inputs, &sources);
        if own { None } else { by() }
    }

    fn to(&self, own: bool, product: &Product) -> Words {
        let set = product.values(&self.space, Field::Destination);
        let free = if own {
            IntervalSet::default()
        } else {
            self.names.unrouted.clone()
        };
        self.names.destinations(&set, &free)
    }

    fn end(mut self) -> Result<Differences, Unknowable> {
        if self.space.diagrams.is_exhausted() {
            return Err(Unknowable::Exhausted);
        }
        let told = (!self.is_complete).then(|| 1.0 - self.missing / self.whole);
        let mut rows = Vec::new();
        for mut found in self.rows {
            found.row.services = services::words(&mut self.space, found.service);
            rows.push((found.row, found.node));
        }
        Ok(Differences {
            space: self.space,
            changes: self.changes,
            never: self.never,
            aside: self.aside.map(|(_, node)| node),
            set_aside: self.set_aside,
            rows,
            told,
        })
    }
}

/// Makes one row of those that differ in their family alone, or in who connects.
fn joined(rows: Vec<Row>) -> Vec<Row> {
    let mut found: Vec<Row> = Vec::new();
    for row in rows {
        let same = |known: &&mut Row| {
            Row {
                families: row.families.clone(),
                ..(**known).clone()
            } == row
        };
        match found.iter_mut().find(same) {
            Some(known) => known.families.extend(&row.families),
            None => found.push(row),
        }
    }
    let mut whole: Vec<Row> = Vec::new();
    for row in found {
        let plain = |row: &Row| row.by.is_none() && row.from.except.is_empty();
        let same = |known: &&mut Row| {
            plain(known) && plain(&row) && {
                Row {
                    from: row.from.clone(),
                    ..(**known).clone()
                } == row
            }
        };
        match whole.iter_mut().find(same) {
            Some(known) => known.from.these.extend(row.from.these),
            None => whole.push(row),
        }
    }
    whole.sort();
    whole
}
