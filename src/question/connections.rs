//! All connections at once: which change and how, and which nobody makes.

use std::net::IpAddr;

use super::diff::Change;
use super::names::{Names, singles};
use crate::diagram::{Level, Node};
use crate::meaning::{End, Fate, Field, Journey, Space};

const TCP: u128 = 6;
const SCTP: u128 = 132;

/// What of connections changes alike: how, and who gets them before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Alike {
    change: Change,
    before: Option<Place>,
    after: Option<Place>,
}

/// Returns the number of what changes about every connection, 0 where nothing does; and the changes from
/// number 1 on. Connections to different containers never have the same number.
pub(super) fn changes(space: &mut Space, one: &Journey, two: &Journey) -> (Node, Vec<Change>) {
    let mut known: Vec<Alike> = Vec::new();
    let mut number = |before: u32, after: u32| {
        let Some(alike) = alike(&one.fate(before), &two.fate(after)) else {
            return 0;
        };
        let at = known.iter().position(|it| *it == alike);
        let at = at.unwrap_or(known.len());
        if at == known.len() {
            known.push(alike);
        }
        u32::try_from(at + 1).unwrap_or(u32::MAX)
    };
    let (first, second) = aligned(space, one, two);
    let numbers = space.diagrams.zip(first, second, &mut number);
    let numbers = space.pinned(numbers);
    (numbers, known.into_iter().map(|it| it.change).collect())
}

fn alike(before: &Fate, after: &Fate) -> Option<Alike> {
    let [from, to] = [before, after].map(|fate| fate.arrives().then(|| place(fate)));
    let change = match (&from, &to) {
        (None, None) => return None,
        (Some(from), Some(to)) if from == to => return None,
        (None, Some(_)) => Change::Opens,
        (Some(_), None) => Change::Closes,
        (Some(_), Some(_)) => Change::Moves,
    };
    // Ports of one container that open alike are one row.
    let whose = |place: Option<Place>| match (change, place) {
        (Change::Opens | Change::Closes, Some((is_host, Some((address, _))))) => {
            Some((is_host, Some((address, None))))
        }
        (_, place) => place,
    };
    Some(Alike {
        change,
        before: whose(from),
        after: whose(to),
    })
}

/// Returns yes for connections of those who take an address of another network.
pub(super) fn spoofed(space: &mut Space, names: &Names) -> Node {
    let none = space.atom("");
    let host = space.is(Field::Input, none);
    let spoofed = names.spoofed(space);
    space.diagrams.except(spoofed, host)
}

/// A new address and a new port.
type Translated = Option<(Option<IpAddr>, Option<u16>)>;

/// Where a packet arrives: whether the host gets it, and what was translated. By which interface it
/// leaves is a matter of routes.
type Place = (bool, Translated);

fn place(fate: &Fate) -> Place {
    (fate.end == End::Host, fate.to)
}

/// Lets both sides ask the same about a match of the same text, wherever it stands in their rules: as often
/// as it stands in both.
fn aligned(space: &mut Space, one: &Journey, two: &Journey) -> (Node, Node) {
    let (first, second) = (
        space.diagrams.asked(one.node),
        space.diagrams.asked(two.node),
    );
    let known: Vec<(String, Level)> = space
        .all_unknown()
        .map(|(what, level)| (what.text.clone(), level))
        .collect();
    let mut free: Vec<&(String, Level)> = known
        .iter()
        .filter(|(_, level)| first.contains(level) && !second.contains(level))
        .collect();
    let mut nodes = (one.node, two.node);
    for (text, level) in &known {
        let named = known
            .iter()
            .find(|(other, _)| other == text && is_named(text));
        if let Some((_, named)) = named.filter(|(_, named)| named != level) {
            nodes.0 = space.diagrams.rename(nodes.0, *level, *named);
            nodes.1 = space.diagrams.rename(nodes.1, *level, *named);
            continue;
        }
        let same = free.iter().position(|(other, _)| other == text);
        let alone = second.contains(level) && !first.contains(level);
        if let Some(at) = same.filter(|_| alone) {
            nodes.1 = space.diagrams.rename(nodes.1, *level, free.remove(at).1);
        }
    }
    nodes
}

/// A limit's name is that of its count, wherever it is asked.
fn is_named(text: &str) -> bool {
    text.contains("--hashlimit-name")
}

/// Returns yes for connections that nobody can make.
pub(super) fn never(space: &mut Space, names: &Names) -> Node {
    let none = space.atom("");
    let host = space.is(Field::Input, none);
    let itself = space.within(Field::Source, &names.own.union(&names.loopback));
    let unrouted = space.within(Field::Destination, &names.unrouted);
    // `fib_validate_source` of the kernel: nobody else has the host's own addresses.
    let martian = space.diagrams.or_else(itself, unrouted);
    let martian = space.diagrams.except(martian, host);
    let lo = space.atom("lo");
    let lo = space.is(Field::Input, lo);
    let foreign = if names.own.is_empty() {
        Node::NO
    } else {
        space.diagrams.except(host, itself)
    };
    // `tcp_v4_conn_request` of the kernel: many cannot have one connection.
    let shared = space.within(Field::Destination, &names.shared);
    let single = space.within(Field::Protocol, &singles([TCP, SCTP]));
    let single = space.diagrams.guard(shared, single);
    space.diagrams.first_of(&[martian, lo, foreign, single])
}
