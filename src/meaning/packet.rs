//! One packet of many, as people write it.

use std::collections::BTreeMap;
use std::fmt;

use super::conditions::Place;
use super::space::{Atom, Field, Space, bits};
use crate::diagram::{Level, Node};
use crate::netfilter::dump::{Action, Dump};
use crate::policy::ir::Policy;

/// Values of the fields that matter; all others may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub fields: BTreeMap<Field, u128>,
    /// The same in words, in the order of the header.
    pub words: Vec<String>,
    levels: Vec<(Level, u128)>,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.words.is_empty() {
            return f.write_str("any packet");
        }
        write!(f, "a packet with {}", self.words.join(", "))
    }
}

impl Sample {
    /// Returns the value of a level; 0 where it does not matter.
    pub(super) fn value(&self, level: Level) -> u128 {
        let known = self.levels.iter().find(|(it, _)| *it == level);
        known.map_or(0, |(_, value)| *value)
    }
}

/// Returns a packet for which a condition holds, as usual a one as there is: a new connection by TCP
/// from an address of the policy's.
pub(super) fn sample(space: &Space, condition: Node, policy: &Policy) -> Option<Sample> {
    let likely = likely(space, policy);
    let prefer =
        |level: Level, first: u128, last: u128| prefer(space, &likely, level, (first, last));
    let levels = space.diagrams.witness(condition, &prefer)?;
    let known = levels.iter();
    let known = known.filter_map(|(level, value)| Some((space.field(*level)?, *value)));
    let fields: BTreeMap<Field, u128> = known.collect();
    let mut words: Vec<String> = fields.iter().map(|it| word(space, *it.0, *it.1)).collect();
    for (what, level) in space.all_unknown() {
        if let Some((_, value)) = levels.iter().find(|(it, _)| *it == level) {
            let not = if *value == 0 { "not " } else { "" };
            words.push(format!("{not}`{}`", what.text));
        }
    }
    Some(Sample {
        fields,
        words,
        levels,
    })
}

/// Addresses that a reader of the policy knows.
fn likely(space: &Space, policy: &Policy) -> Vec<u128> {
    let family = space.family;
    let containers = policy.containers.iter().flat_map(|it| &it.attachments);
    let own = containers.flat_map(|at| &at.addresses).copied();
    let mut found: Vec<u128> = own.filter(|it| family.has(*it)).map(bits).collect();
    let trusts = policy.trusts.iter();
    found.extend(trusts.filter_map(|it| it.set.of(family).ranges().first().map(|range| range.0)));
    found
}

/// Ranks the values of an interval: the smaller the more usual.
fn prefer(
    space: &Space,
    likely: &[u128],
    level: Level,
    (first, last): (u128, u128),
) -> (u32, u128) {
    let usual: &[u128] = match space.field(level) {
        Some(Field::State | Field::Translated) => &[0],
        Some(Field::Protocol) => &[6, 17],
        Some(Field::Original) => &[1],
        Some(Field::SourcePort) => &[40_000],
        Some(Field::Source | Field::Destination | Field::AskedDestination) => likely,
        _ => &[],
    };
    let here = |value: &&u128| (first..=last).contains(*value);
    let found = (0u32..).zip(usual).find(|(_, value)| here(value));
    found.map_or((u32::MAX, first), |(rank, value)| (rank, *value))
}

fn word(space: &Space, field: Field, value: u128) -> String {
    let interface = || match usize::try_from(value)
        .ok()
        .and_then(|at| space.atoms().get(at))
    {
        Some(Atom::Name(name)) => name.clone(),
        Some(Atom::Beginning(start)) => format!("another {start}…"),
        Some(Atom::None) => "none".to_owned(),
        Some(Atom::Other) | None => "another".to_owned(),
    };
    let address = || space.address(value);
    match field {
        Field::State => {
            let names = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"];
            let name = usize::try_from(value).ok().and_then(|at| names.get(at));
            format!("state {}", name.unwrap_or(&"?"))
        }
        Field::Input => format!("input {}", interface()),
        Field::Output => format!("output {}", interface()),
        Field::Protocol => format!("protocol {}", protocol(value)),
        Field::Destination => format!("destination {}", address()),
        Field::Port => format!("port {value}"),
        Field::Translated => {
            let word = ["nothing", "its source", "its destination", "both ends"];
            let word = usize::try_from(value).ok().and_then(|at| word.get(at));
            format!("{} translated", word.unwrap_or(&"?"))
        }
        Field::Original => format!(
            "direction {}",
            if value == 1 { "original" } else { "reply" }
        ),
        Field::AskedDestination => format!("first destination {}", address()),
        Field::AskedPort => format!("first port {value}"),
        Field::Icmp => format!("type {} code {}", value >> 8, value & 255),
        Field::Source => format!("source {}", address()),
        Field::SourcePort => format!("source port {value}"),
        Field::Asker => format!("first source {}", address()),
        Field::TcpFlags => format!("flags {value:#x}"),
        Field::SourceType => format!("a source that is {}", kind(value)),
        Field::DestinationType => format!("a destination that is {}", kind(value)),
    }
}

fn protocol(number: u128) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "ipv6-icmp".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    }
}

fn kind(value: u128) -> &'static str {
    match value {
        1 => "the host's",
        2 => "everybody's",
        3 => "a group's",
        _ => "somebody's",
    }
}

/// Returns the lines of the rules that a packet meets from a hook on, with their text, until one ends
/// it. What does not matter to the packet is taken as 0.
pub(super) fn met(
    space: &Space,
    dump: &Dump,
    (table, chain): (&str, &str),
    packet: &Sample,
) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut again = Space::new(space.family, [dump], &names(space), usize::MAX);
    follow(&mut again, dump, Place { table, chain }, packet, &mut found);
    found
}

fn names(space: &Space) -> Vec<&str> {
    let name = |atom: &'_ Atom| match atom {
        Atom::Name(_) => true,
        Atom::Beginning(_) | Atom::None | Atom::Other => false,
    };
    let atoms = space.atoms().iter().filter(|atom| name(atom));
    atoms
        .filter_map(|atom| match atom {
            Atom::Name(name) => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

/// Returns true where the packet ended.
fn follow(
    space: &mut Space,
    dump: &Dump,
    place: Place<'_>,
    packet: &Sample,
    found: &mut Vec<(usize, String)>,
) -> bool {
    const MOST: usize = 64;
    let Some(chain) = dump.chain(place.table, place.chain) else {
        return false;
    };
    let mut before = BTreeMap::new();
    for rule in &chain.rules {
        let holds = space.conditions(&rule.conditions, place, &mut before, Node::YES);
        if space.diagrams.evaluate(holds, &|level| packet.value(level)) == 0 || found.len() >= MOST
        {
            continue;
        }
        found.push((rule.line, format!("-A {} {}", place.chain, rule.text)));
        match &rule.action {
            Action::Jump(chain) | Action::Goto(chain) => {
                let inner = Place { chain, ..place };
                let ended = follow(space, dump, inner, packet, found);
                if ended || matches!(rule.action, Action::Goto(_)) {
                    return ended;
                }
            }
            Action::Return => return false,
            Action::Continue
            | Action::Mark { .. }
            | Action::ConnMark { .. }
            | Action::SaveMark { .. }
            | Action::RestoreMark { .. }
            | Action::NoTrack => {}
            _ => return true,
        }
    }
    false
}
