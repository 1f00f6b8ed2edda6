//! One packet of a set.

use crate::diagram::Level;
use crate::meaning::{Atom, Field, Space};
use crate::net::Family;
use crate::netfilter::dump::States;
use crate::netfilter::trace::Probe;

/// Protocols whose packets have ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];
/// Types of an echo request.
const ECHO: u16 = 8 << 8;
const ECHO_V6: u16 = 128 << 8;

/// Returns the first packet of a connection with some values; fields without one are as they often are.
pub fn probe(space: &Space, values: &[(Level, u128)]) -> Probe {
    let value = |field: Field| {
        let level = space.level(field);
        let mut found = values.iter().filter(|(at, _)| *at == level);
        found.next().map(|(_, value)| *value)
    };
    let small = |field: Field| value(field).map(|value| u16::try_from(value).unwrap_or(0));
    let protocol = value(Field::Protocol).unwrap_or(6);
    let protocol = u8::try_from(protocol).unwrap_or(6);
    let port = |field: Field, usual: u16| {
        let known = WITH_PORTS.contains(&protocol);
        if known {
            small(field).unwrap_or(usual)
        } else {
            0
        }
    };
    let echo = if space.family == Family::V6 {
        ECHO_V6
    } else {
        ECHO
    };
    let icmp = matches!(protocol, 1 | 58).then(|| small(Field::Icmp).unwrap_or(echo));
    let [kind, code] = icmp.unwrap_or(0).to_be_bytes();
    Probe {
        input: value(Field::Input).map_or_else(|| first_input(space), |at| input(space, at)),
        source: space.address(value(Field::Source).unwrap_or(0)),
        destination: space.address(value(Field::Destination).unwrap_or(0)),
        protocol,
        source_port: port(Field::SourcePort, 40_000),
        port: port(Field::Port, 1),
        icmp: (kind, code),
        tcp_flags: 2,
        state: States::NEW,
        mark: 0,
        connmark: 0,
    }
}

fn first_input(space: &Space) -> Option<String> {
    let named = |atom: &Atom| match atom {
        Atom::Name(name) => Some(name.clone()),
        Atom::None | Atom::Beginning(_) | Atom::Other => None,
    };
    space.atoms().iter().find_map(named)
}

/// Returns a name that is of an interface's number and of no other.
fn input(space: &Space, number: u128) -> Option<String> {
    let start = match space.atoms().get(usize::try_from(number).ok()?)? {
        Atom::None => return None,
        Atom::Name(name) => return Some(name.clone()),
        Atom::Beginning(start) => start.as_str(),
        Atom::Other => "",
    };
    let mut names = ('a'..='z').flat_map(|one| ('a'..='z').map(move |two| (one, two)));
    let name = names.find_map(|(one, two)| {
        let name = format!("{start}{one}{two}");
        (space.atom(&name) == number).then_some(name)
    });
    Some(name.unwrap_or_else(|| start.to_owned()))
}
