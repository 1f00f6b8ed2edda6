//! Who reaches whom on what, as the rules say.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::diff::Unknowable;
use super::names::{Names, Words, singles};
use super::services;
use super::side::Side;
use crate::diagram::{Level, Node};
use crate::meaning::{End, Fate, Field, Journey, MAX_EDGES, Space, bits};
use crate::net::{Family, IntervalSet};
use crate::policy::ir::Policy;

/// What one may connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub from: String,
    pub to: String,
    /// By a port of the host that leads to a container.
    pub by_host: bool,
    /// What every address of the left side may use.
    pub all: Option<Words>,
    /// The same, as long as matches that only the kernel can answer let it: limits, most of the time.
    pub limited: Option<Words>,
    /// What only some addresses of the left side may use.
    pub some: Option<Words>,
    pub families: Vec<Family>,
}

/// Who connects: sources by the interfaces that they come by.
struct Row {
    name: String,
    parts: Vec<(IntervalSet, IntervalSet)>,
}

/// What is connected to.
struct Column {
    name: String,
    by_host: bool,
    /// For each of its addresses, yes for packets that get there, and for those that do whatever the
    /// kernel answers where only it can.
    ways: Vec<[Node; 2]>,
}

/// Returns all cells of one family in which anything is allowed.
pub fn cells(side: &Side, policy: &Policy) -> Result<Vec<Cell>, Unknowable> {
    let names = Names::new(&[policy], &side.machine);
    let uplinks = policy.host.uplinks.iter().map(|name| name.0.as_str());
    let uplinks: Vec<&str> = uplinks.collect();
    let mut space = Journey::space(&[&side.machine], &uplinks, MAX_EDGES);
    let journey = Journey::new(&mut space, &side.machine)?;
    let rows = rows(&space, &names, policy);
    let columns = columns(&mut space, &names, policy, &journey);
    let mut found = Vec::new();
    for row in &rows {
        let sources = sources(&mut space, row);
        for column in columns.iter().filter(|column| column.name != row.name) {
            found.extend(cell(&mut space, (row, sources), column));
        }
    }
    if space.diagrams.is_exhausted() {
        return Err(Unknowable::Exhausted);
    }
    Ok(found)
}

/// Makes one cell of those that differ in their family alone.
pub fn joined(all: Vec<Cell>) -> Vec<Cell> {
    let mut found: Vec<Cell> = Vec::new();
    let mut known: BTreeMap<(String, String, bool), Vec<usize>> = BTreeMap::new();
    for cell in all {
        let ends = (cell.from.clone(), cell.to.clone(), cell.by_host);
        let same = known.entry(ends).or_default();
        let says =
            |it: &Cell| it.all == cell.all && it.limited == cell.limited && it.some == cell.some;
        let like = same.iter().find(|at| found.get(**at).is_some_and(says));
        if let Some(like) = like.and_then(|at| found.get_mut(*at)) {
            like.families.extend(&cell.families);
        } else {
            same.push(found.len());
            found.push(cell);
        }
    }
    let (from, to) = (first(&found, |it| &it.from), first(&found, |it| &it.to));
    let place = |cell: &Cell| {
        let (from, to) = (from.get(cell.from.as_str()), to.get(cell.to.as_str()));
        (from.copied(), cell.to == "host", to.copied(), !cell.by_host)
    };
    let places: Vec<_> = found.iter().map(place).collect();
    let mut sorted: Vec<_> = places.into_iter().zip(found).collect();
    sorted.sort_by_key(|(place, _)| *place);
    sorted.into_iter().map(|(_, cell)| cell).collect()
}

/// Returns where each name comes first.
fn first(all: &[Cell], of: impl Fn(&Cell) -> &String) -> BTreeMap<&str, usize> {
    let mut places = BTreeMap::new();
    for (at, cell) in all.iter().enumerate() {
        places.entry(of(cell).as_str()).or_insert(at);
    }
    places
}

fn rows(space: &Space, names: &Names, policy: &Policy) -> Vec<Row> {
    let family = space.family;
    let row = |name: &str, set: &IntervalSet| Row {
        name: name.to_owned(),
        parts: names.parts(space, set),
    };
    let mut rows = vec![row("outside", &names.outside())];
    let trusts = policy.trusts.iter();
    rows.extend(trusts.map(|trust| row(&trust.name, trust.set.of(family))));
    for network in &policy.networks {
        let nets = network.subnets.iter().filter(|net| family.has(net.addr()));
        let ranges = nets.map(|net| (bits(net.network()), bits(net.broadcast())));
        let set = IntervalSet::from_ranges(ranges.collect());
        rows.push(row(&network.name, &set));
    }
    for (name, addresses) in containers(policy, family) {
        rows.push(row(name, &singles(addresses)));
    }
    let none = singles([space.atom("")]);
    let mut host = row("host", &IntervalSet::default());
    if !names.own.is_empty() {
        host.parts.push((none, names.own.clone()));
    }
    rows.push(host);
    rows.retain(|row| !row.parts.is_empty());
    rows
}

fn containers(policy: &Policy, family: Family) -> impl Iterator<Item = (&str, Vec<u128>)> {
    policy.containers.iter().map(move |container| {
        let all = container.attachments.iter().flat_map(|at| &at.addresses);
        let all = all.filter(|it| family.has(**it)).map(|it| bits(*it));
        (container.name.as_str(), all.collect())
    })
}

fn columns(space: &mut Space, names: &Names, policy: &Policy, journey: &Journey) -> Vec<Column> {
    let family = space.family;
    let mut those = |wanted: &dyn Fn(&Fate) -> bool| {
        let node = journey.those(space, wanted);
        space.pinned(node)
    };
    let own = expanded(&names.own);
    let here: Vec<u128> = own.iter().copied().chain([itself(family)]).collect();
    let direct = those(&|fate| fate.arrives() && fate.to.is_none());
    let host = those(&|fate| fate.end == End::Host && fate.to.is_none());
    let mut found = Vec::new();
    for (name, addresses) in containers(policy, family) {
        let is_here = |address| addresses.contains(&bits(address));
        let leads = |(address, _): (Option<IpAddr>, _)| address.is_some_and(is_here);
        let published = those(&|fate| fate.arrives() && fate.to.is_some_and(leads));
        found.push((name, true, published, here.clone()));
        found.push((name, false, direct, addresses.clone()));
    }
    found.push(("host", false, host, own));
    let column = |(name, by_host, reached, addresses): (&str, bool, Node, Vec<u128>)| Column {
        name: name.to_owned(),
        by_host,
        ways: ways(space, reached, &addresses),
    };
    found.into_iter().map(column).collect()
}

/// Returns what of a condition is about each of some destinations: once for a column, not for a cell.
fn ways(space: &mut Space, reached: Node, addresses: &[u128]) -> Vec<[Node; 2]> {
    let level = space.level(Field::Destination);
    let mut way = |address: &u128| {
        let here = space.diagrams.restrict(reached, level, *address);
        [here, any_answer(space, here)]
    };
    addresses.iter().map(&mut way).collect()
}

fn expanded(set: &IntervalSet) -> Vec<u128> {
    let ranges = set.ranges().iter();
    ranges.flat_map(|(first, last)| *first..=*last).collect()
}

/// The address of the host that it alone can use.
fn itself(family: Family) -> u128 {
    match family {
        Family::V4 => 0x7f00_0001,
        Family::V6 => 1,
    }
}

/// Returns what a row may use of a column, by any of the column's addresses; nothing where that is nothing.
fn cell(space: &mut Space, (row, sources): (&Row, Node), column: &Column) -> Option<Cell> {
    let (mut all, mut possible, mut some) = (Node::NO, Node::NO, Node::NO);
    for [here, lenient] in &column.ways {
        let (here, lenient) = (*here, *lenient);
        let any = for_some(space, lenient, sources);
        if any == Node::NO {
            continue;
        }
        some = space.diagrams.or_else(some, any);
        for (node, sum) in [(here, &mut all), (lenient, &mut possible)] {
            let every = for_every(space, node, row);
            *sum = space.diagrams.or_else(*sum, every);
        }
    }
    let some = space.diagrams.except(some, possible);
    let limited = space.diagrams.except(possible, all);
    let mut said = |node: Node| (node != Node::NO).then(|| services::words(space, node));
    let (all, limited, some) = (said(all), said(limited), said(some));
    let nothing = all.is_none() && limited.is_none() && some.is_none();
    (!nothing).then(|| Cell {
        from: row.name.clone(),
        to: column.name.clone(),
        by_host: column.by_host,
        all,
        limited,
        some,
        families: vec![space.family],
    })
}

/// Returns where a condition can hold, whatever the kernel answers where only it can.
fn any_answer(space: &mut Space, node: Node) -> Node {
    let levels: Vec<Level> = space.all_unknown().map(|(_, level)| level).collect();
    let asked = space.diagrams.asked(node);
    let levels = levels.into_iter().filter(|level| asked.contains(level));
    levels.fold(node, |node, level| space.diagrams.exists(node, level))
}

/// Returns the services for which a condition holds for every source of a row.
fn for_every(space: &mut Space, node: Node, row: &Row) -> Node {
    let keep = services::FIELDS.map(|field| space.level(field));
    let (input, source) = (space.level(Field::Input), space.level(Field::Source));
    let mut holds = Node::YES;
    for (by, from) in &row.parts {
        let within = [(input, by.clone()), (source, from.clone())];
        let part = space.diagrams.every(node, &within.into(), &keep);
        holds = space.diagrams.guard(holds, part);
    }
    holds
}

/// Returns where a packet is of one of a row's sources.
fn sources(space: &mut Space, row: &Row) -> Node {
    let mut any = Node::NO;
    for (by, from) in &row.parts {
        let by = space.within(Field::Input, by);
        let from = space.within(Field::Source, from);
        let cube = space.diagrams.guard(by, from);
        any = space.diagrams.or_else(any, cube);
    }
    any
}

/// Returns the services for which a condition holds for any of some sources.
fn for_some(space: &mut Space, node: Node, sources: Node) -> Node {
    let holds = space.diagrams.guard(sources, node);
    let fields = [Field::Input, Field::Source, Field::SourcePort];
    let levels = fields.map(|field| space.level(field));
    let levels = levels.into_iter();
    levels.fold(holds, |node, level| space.diagrams.exists(node, level))
}
