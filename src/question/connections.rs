//! All connections at once: which change and how, and which nobody makes.

use std::net::IpAddr;

use super::diff::Change;
use super::names::{Names, singles};
use crate::diagram::{Level, Node};
use crate::meaning::{End, Fate, Field, Journey, Space};

const TCP: u128 = 6;
const SCTP: u128 = 132;

impl Change {
    /// Returns the change of a number that is not 0. Moves between other places have other numbers.
    pub(super) fn of(number: u32) -> Self {
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

/// Returns the number of the change of every connection, 0 where there is none.
pub(super) fn changes(space: &mut Space, one: &Journey, two: &Journey) -> Node {
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
    let (first, second) = aligned(space, one, two);
    let changes = space.diagrams.zip(first, second, &mut change);
    space.pinned(changes)
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
fn place(fate: &Fate) -> (bool, Translated) {
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
