//! Which new connections one set of rules allows that another does not, and which it leads elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use thiserror::Error;

use super::names::{Names, Words, loopback, own};
use super::probe::probe;
use super::reasons::{Reason, reason};
use super::services;
use super::side::Side;
use crate::diagram::Node;
use crate::meaning::{End, Fate, Field, Journey, Product, Space, TooDeep};
use crate::net::{Family, IntervalSet};
use crate::netfilter::trace::Machine;
use crate::policy::ir::Policy;

/// Most edges of diagrams; some hundred MiB.
pub(super) const MAX_EDGES: usize = 20_000_000;
/// Most sets of connections that are told of one family.
const MAX_SETS: usize = 50;
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

impl Change {
    /// Returns the change of a number that is not 0. Moves between other places have other numbers.
    fn of(number: u32) -> Self {
        match number {
            OPENS => Change::Opens,
            CLOSES => Change::Closes,
            _ => Change::Moves,
        }
    }
}

const OPENS: u32 = 1;
const CLOSES: u32 = 2;
/// The number of the first two places that packets move between.
const MOVES: u32 = 3;

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
    pub families: Vec<Family>,
}

/// All that differs, in a form for people and one for functions.
#[derive(Debug)]
pub struct Diff {
    pub rows: Vec<Row>,
    /// The part of what differs that the rows tell, from 0 to 1.
    pub told: f64,
}

/// What differs in one family.
#[derive(Debug)]
pub struct Differences {
    pub space: Space,
    /// To the number of a change, and to 0 where both do the same.
    pub changes: Node,
    /// Connections that nobody can make.
    pub never: Node,
    /// Each with the connections that it is about.
    pub rows: Vec<(Row, Node)>,
    told: f64,
}

impl Diff {
    /// Joins the differences of all families.
    pub fn of(all: Vec<Differences>) -> Self {
        let told = all.iter().map(|one| one.told).fold(1.0, f64::min);
        let rows = all.into_iter().flat_map(|one| one.rows);
        Diff {
            rows: joined(rows.map(|(row, _)| row).collect()),
            told,
        }
    }
}

/// Compares what two sets of rules of one family do on one host; see
/// [`on_one_host`](super::on_one_host).
pub fn differences(before: &Side, after: &Side) -> Result<Differences, Unknowable> {
    let policies: Vec<&Policy> = [before, after]
        .iter()
        .filter_map(|side| side.policy.as_ref())
        .collect();
    let names = Names::new(&policies, &after.machine);
    let uplinks = policies.iter().flat_map(|policy| &policy.host.uplinks);
    let uplinks: Vec<&str> = uplinks.map(|name| name.0.as_str()).collect();
    let machines = [&before.machine, &after.machine];
    let mut space = Journey::space(&machines, &uplinks, MAX_EDGES);
    let one = Journey::new(&mut space, &before.machine)?;
    let two = Journey::new(&mut space, &after.machine)?;
    let changes = changes(&mut space, &one, &two);
    let (a, b) = (one.arrives(&mut space), two.arrives(&mut space));
    let either = space.diagrams.or_else(a, b);
    let never = never(&mut space, &after.machine, either);
    let mut search = Search {
        space,
        names,
        before: &before.machine,
        after: &after.machine,
        changes,
        never,
        rows: Vec::new(),
        sets: 0,
        whole: 0.0,
        missing: 0.0,
    };
    for number in search.space.diagrams.answers(changes) {
        if number != 0 {
            search.change(number);
        }
    }
    search.end()
}

fn changes(space: &mut Space, one: &Journey, two: &Journey) -> Node {
    let mut moves = Vec::new();
    let mut change = |before: u32, after: u32| {
        let (before, after) = (one.fate(before), two.fate(after));
        match (before.arrives(), after.arrives()) {
            (false, true) => OPENS,
            (true, false) => CLOSES,
            (true, true) if place(&before) != place(&after) => {
                let way = (place(&before), place(&after));
                let known = moves.iter().position(|it| *it == way);
                let at = known.unwrap_or(moves.len());
                if known.is_none() {
                    moves.push(way);
                }
                MOVES + u32::try_from(at).unwrap_or(0)
            }
            _ => 0,
        }
    };
    let changes = space.diagrams.zip(one.node, two.node, &mut change);
    space.pinned(changes)
}

/// Where a packet arrives: whether the host gets it, and what was translated. By which interface it
/// leaves is a matter of routes.
fn place(fate: &Fate) -> (bool, Option<(IpAddr, Option<u16>)>) {
    (fate.end == End::Host, fate.to)
}

/// Returns yes for connections that nobody can make, or only with a source that is not theirs and that
/// leads nowhere.
pub(super) fn never(space: &mut Space, machine: &Machine, arrives: Node) -> Node {
    let (own, loopback) = (own(machine), loopback(machine.family));
    let none = space.atom("");
    let host = space.is(Field::Input, none);
    let itself = space.within(Field::Source, &own.union(&loopback));
    let to_loopback = space.within(Field::Destination, &loopback);
    // `fib_validate_source` of the kernel: nobody else has the host's own addresses.
    let martian = space.diagrams.or_else(itself, to_loopback);
    let martian = space.diagrams.except(martian, host);
    let lo = space.atom("lo");
    let lo = space.is(Field::Input, lo);
    let mut never = vec![martian, lo];
    if !own.is_empty() {
        never.push(space.diagrams.except(host, itself));
    }
    let spoofed = spoofed(space, machine);
    let spoofed = space.diagrams.except(spoofed, host);
    never.push(space.diagrams.except(spoofed, arrives));
    space.diagrams.first_of(&never)
}

/// Returns yes for sources that come by another interface than the one that leads to them.
fn spoofed(space: &mut Space, machine: &Machine) -> Node {
    let mut all = Vec::new();
    for link in &machine.interfaces {
        let mut routes = machine.routes.iter();
        let outside = routes.any(|(net, name)| net.prefix_len() == 0 && *name == link.name);
        if outside || link.addresses.is_empty() {
            continue;
        }
        let nets = link.addresses.iter();
        let nets = nets.map(|net| {
            let (first, last) = (net.network(), net.broadcast());
            (crate::meaning::bits(first), crate::meaning::bits(last))
        });
        let behind = space.within(Field::Source, &IntervalSet::from_ranges(nets.collect()));
        let atom = space.atom(&link.name);
        let here = space.is(Field::Input, atom);
        all.push(space.diagrams.differ(behind, here));
    }
    space.diagrams.first_of(&all)
}

/// The rows of one family while they are found.
struct Search<'m> {
    space: Space,
    names: Names,
    before: &'m Machine,
    after: &'m Machine,
    changes: Node,
    never: Node,
    rows: Vec<(Row, Node)>,
    sets: usize,
    whole: f64,
    missing: f64,
}

/// Services about which the same lines decide.
#[derive(Default)]
struct Group {
    items: Vec<Node>,
    /// Where they lead on both sides.
    before: BTreeSet<u16>,
    after: BTreeSet<u16>,
}

impl Search<'_> {
    fn change(&mut self, number: u32) {
        let change = Change::of(number);
        let manager = &mut self.space.diagrams;
        let all = manager.map(self.changes, &mut |it| u32::from(it == number));
        let none = self.space.atom("");
        let host = self.space.is(Field::Input, none);
        let manager = &mut self.space.diagrams;
        let (own, others) = (manager.guard(host, all), manager.except(all, host));
        // The host itself is told apart: it comes by no interface.
        for (own, holds) in [(false, others), (true, own)] {
            let limit = MAX_SETS.saturating_sub(self.sets);
            let cover = self.space.cover(holds, self.never, limit);
            self.sets += cover.products.len();
            let wanted = self.space.diagrams.except(holds, self.never);
            self.whole += self.space.diagrams.share(wanted);
            self.missing += self.space.diagrams.share(cover.rest);
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
        for ((before, after), group) in self.groups(change, product.service, all, &taken) {
            let service = self.space.diagrams.first_of(&group.items);
            let services = services::words(&mut self.space, service);
            let row = Row {
                change,
                before: before.at_ports(&group.before),
                after: after.at_ports(&group.after),
                from: self.from(own, product),
                by: self.by(own, product),
                to: self.to(own, product),
                services,
                taken: taken.clone(),
                families: vec![self.space.family],
            };
            let these = self.space.diagrams.guard(all, service);
            self.rows.push((row, these));
        }
    }

    fn groups(
        &mut self,
        change: Change,
        service: Node,
        all: Node,
        taken: &[(String, bool)],
    ) -> BTreeMap<(Reason, Reason), Group> {
        let items = services::items(&mut self.space, service);
        let nodes: Vec<Node> = if items.len() > MAX_ITEMS {
            vec![service]
        } else {
            items.into_iter().map(|item| item.node).collect()
        };
        let likely = self.names.likely(&self.space);
        let mut groups: BTreeMap<(Reason, Reason), Group> = BTreeMap::new();
        for item in nodes {
            let these = self.space.diagrams.guard(all, item);
            let Some(witness) = self.space.witness(these, &likely) else {
                continue;
            };
            let probe = probe(&self.space, &witness);
            let told = |machine, arrives| reason(machine, &probe, taken, arrives, &self.names);
            let (before, one) = told(self.before, change != Change::Opens);
            let (after, two) = told(self.after, change != Change::Closes);
            let group = groups.entry((before, after)).or_default();
            group.items.push(item);
            group.before.extend(one);
            group.after.extend(two);
        }
        groups
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
            self.names.loopback.clone()
        };
        self.names.destinations(&set, &free)
    }

    fn end(self) -> Result<Differences, Unknowable> {
        if self.space.diagrams.is_exhausted() {
            return Err(Unknowable::Exhausted);
        }
        let told = if self.missing == 0.0 {
            1.0
        } else {
            1.0 - self.missing / self.whole
        };
        Ok(Differences {
            space: self.space,
            changes: self.changes,
            never: self.never,
            rows: self.rows,
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
