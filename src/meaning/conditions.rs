//! The conditions of a rule as sets of packets.

use std::collections::BTreeMap;

use super::space::{Field, Space, Unknown, bits, ports, prefixes};
use crate::diagram::{Level, Node};
use crate::net::{IntervalSet, PortRange};
use crate::netfilter::dump::{AddressType, Condition, States, Test};

/// Protocols whose header begins with both ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
pub(super) const WITH_PORTS: [u128; 5] = [6, 17, 33, 132, 136];
const TCP: u128 = 6;
const ICMP: [u128; 2] = [1, 58];
/// States in which a packet belongs to a connection: NEW, ESTABLISHED, RELATED.
const TRACKED: (u128, u128) = (0, 2);
pub(super) const INVALID: u128 = 3;
/// Of [`Field::Translated`].
const SNAT: u128 = 1;
const DNAT: u128 = 2;

/// Where a rule stands, which decides what it can ask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub table: &'a str,
    pub chain: &'a str,
}

/// A condition: one set for each field, and what no such sets can say.
#[derive(Debug, Default)]
struct Sets {
    /// All of them hold at once.
    fields: BTreeMap<Level, IntervalSet>,
    others: Vec<Node>,
}

impl Sets {
    fn and(&mut self, level: Level, set: IntervalSet) {
        match self.fields.get_mut(&level) {
            Some(known) => *known = known.intersection(&set),
            None => drop(self.fields.insert(level, set)),
        }
    }
}

pub(super) fn values(values: &[u128]) -> IntervalSet {
    IntervalSet::from_ranges(values.iter().map(|value| (*value, *value)).collect())
}

fn range(of: (u128, u128)) -> IntervalSet {
    IntervalSet::from_ranges(vec![of])
}

impl Space {
    /// Returns `then` where all conditions of a rule hold. `before` counts unknown matches of the chain.
    pub(super) fn conditions(
        &mut self,
        conditions: &[Condition],
        place: Place<'_>,
        before: &mut BTreeMap<String, usize>,
        then: Node,
    ) -> Node {
        let mut sets = Sets::default();
        for condition in conditions {
            self.condition(condition, place, before, &mut sets);
        }
        let fields: Vec<(Level, IntervalSet)> = sets.fields.into_iter().collect();
        if then.as_answer().is_some() && sets.others.is_empty() {
            return self.diagrams.cube(&fields, then);
        }
        let cube = self.diagrams.cube(&fields, Node::YES);
        sets.others.push(then);
        let others = sets.others.into_iter();
        others.fold(cube, |so_far, other| self.diagrams.guard(so_far, other))
    }

    fn condition(
        &mut self,
        condition: &Condition,
        place: Place<'_>,
        before: &mut BTreeMap<String, usize>,
        sets: &mut Sets,
    ) {
        let Condition { not, test } = condition;
        match test {
            Test::Opaque(opaque) => {
                let count = before.entry(opaque.text.clone()).or_default();
                let at = (place.table.to_owned(), place.chain.to_owned(), *count);
                *count += usize::from(opaque.stateful);
                let level = self.unknown(Unknown {
                    text: opaque.text.clone(),
                    place: opaque.stateful.then_some(at),
                });
                sets.and(level, values(&[u128::from(!*not)]));
            }
            Test::Conntrack(states) => self.conntrack(*states, *not, sets),
            test => match self.single(test) {
                Some((field, set)) => {
                    self.add_field(field, set, *not, is_of_a_connection(test), sets);
                }
                None => self.several(test, *not, sets),
            },
        }
    }

    /// Adds what one field says. Where a test needs a connection and there is none, it fails, negated or
    /// not: `conntrack_mt` of the kernel's `xt_conntrack.c`, `connmark_mt` of `xt_connmark.c`.
    fn add_field(
        &self,
        field: Field,
        set: IntervalSet,
        not: bool,
        of_a_connection: bool,
        sets: &mut Sets,
    ) {
        if of_a_connection {
            sets.and(self.level(Field::State), range(TRACKED));
        }
        let set = if not {
            self.everything(field).difference(&set)
        } else {
            set
        };
        sets.and(self.level(field), set);
    }

    /// Returns yes for packets that belong to a connection.
    pub(super) fn tracked(&mut self) -> Node {
        self.within(Field::State, &range(TRACKED))
    }

    /// Returns the field and the values that a test is about, where it is about one.
    fn single(&self, test: &Test) -> Option<(Field, IntervalSet)> {
        let range = |first, last| range((bits(first), bits(last)));
        Some(match test {
            Test::Source(nets) => (Field::Source, prefixes(nets)),
            Test::Destination(nets) => (Field::Destination, prefixes(nets)),
            Test::SourceRange(first, last) => (Field::Source, range(*first, *last)),
            Test::DestinationRange(first, last) => (Field::Destination, range(*first, *last)),
            Test::Input(pattern) => (Field::Input, self.matching(pattern)),
            Test::Output(pattern) => (Field::Output, self.matching(pattern)),
            Test::Protocol(number) => (Field::Protocol, values(&[(*number).into()])),
            Test::SourceType(types) => (Field::SourceType, self::types(types)),
            Test::DestinationType(types) => (Field::DestinationType, self::types(types)),
            Test::Original => (Field::Original, values(&[1])),
            Test::OriginalDestination(net) => (Field::AskedDestination, prefixes([net])),
            Test::OriginalDestinationPort(range) => (Field::AskedPort, ports(&[*range])),
            Test::OriginalSource(net) => (Field::Asker, prefixes([net])),
            Test::Conntrack(_)
            | Test::ConnMark { .. }
            | Test::DestinationPort(_)
            | Test::EitherPort(_)
            | Test::Icmp(_)
            | Test::Mark { .. }
            | Test::Opaque(_)
            | Test::SourcePort(_)
            | Test::TcpFlags { .. } => return None,
        })
    }

    /// Adds a test of several fields: their sets where it holds as it is, else a condition of its own.
    fn several(&mut self, test: &Test, not: bool, sets: &mut Sets) {
        if matches!(test, Test::ConnMark { .. }) {
            sets.and(self.level(Field::State), range(TRACKED));
        }
        if let Test::EitherPort(ranges) = test {
            let either = self.either_port(ranges);
            let either = if not {
                self.diagrams.not(either)
            } else {
                either
            };
            sets.others.push(either);
            return;
        }
        let parts = self.parts(test);
        if !not {
            for (level, set) in parts {
                sets.and(level, set);
            }
            return;
        }
        let cube = self.diagrams.cube(&parts, Node::YES);
        sets.others.push(self.diagrams.not(cube));
    }

    /// Returns the sets of a test that must all hold, by level.
    fn parts(&self, test: &Test) -> Vec<(Level, IntervalSet)> {
        let of = |field: Field, set: IntervalSet| (self.level(field), set);
        let with_ports = || of(Field::Protocol, values(&WITH_PORTS));
        match test {
            Test::SourcePort(ranges) => vec![with_ports(), of(Field::SourcePort, ports(ranges))],
            Test::DestinationPort(ranges) => vec![with_ports(), of(Field::Port, ports(ranges))],
            Test::TcpFlags { mask, set } => vec![
                of(Field::Protocol, values(&[TCP])),
                of(Field::TcpFlags, flags(*mask, *set)),
            ],
            Test::Icmp(kind) => vec![
                of(Field::Protocol, values(&ICMP)),
                of(Field::Icmp, icmp(*kind)),
            ],
            Test::Mark { value, mask } => self.mark_is(false, *value, *mask),
            Test::ConnMark { value, mask } => self.mark_is(true, *value, *mask),
            _ => Vec::new(),
        }
    }

    fn mark_is(&self, connection: bool, value: u32, mask: u32) -> Vec<(Level, IntervalSet)> {
        let bit = |bit: u32| {
            let level = self.mark(connection, bit);
            let wanted = u128::from(value >> bit & 1);
            // A value outside of its mask is never met.
            let possible = value & !mask == 0;
            (
                level,
                if possible {
                    values(&[wanted])
                } else {
                    IntervalSet::default()
                },
            )
        };
        let asked = mask | value;
        (0..32).filter(|at| asked >> at & 1 == 1).map(bit).collect()
    }

    fn either_port(&mut self, ranges: &[PortRange]) -> Node {
        let source = self.parts(&Test::SourcePort(ranges.to_vec()));
        let target = self.parts(&Test::DestinationPort(ranges.to_vec()));
        let (source, target) = (
            self.diagrams.cube(&source, Node::YES),
            self.diagrams.cube(&target, Node::YES),
        );
        self.diagrams.or_else(source, target)
    }

    /// Adds a test of the connection's state, or of what was translated of it.
    fn conntrack(&mut self, states: States, not: bool, sets: &mut Sets) {
        const NAMED: [(States, u128); 5] = [
            (States::NEW, 0),
            (States::ESTABLISHED, 1),
            (States::RELATED, 2),
            (States::INVALID, INVALID),
            (States::UNTRACKED, 4),
        ];
        let named = NAMED.iter().filter(|(state, _)| states.overlaps(*state));
        let state = values(&named.map(|(_, value)| *value).collect::<Vec<_>>());
        if !states.overlaps(States::SNAT.with(States::DNAT)) {
            return self.add_field(Field::State, state, not, false, sets);
        }
        let translated = |value: &u128| {
            states.overlaps(States::SNAT) && value & SNAT != 0
                || states.overlaps(States::DNAT) && value & DNAT != 0
        };
        let translated = values(&(0..4).filter(translated).collect::<Vec<_>>());
        if state.is_empty() && !not {
            sets.and(self.level(Field::State), range(TRACKED));
            sets.and(self.level(Field::Translated), translated);
            return;
        }
        let state = self.within(Field::State, &state);
        let translated = self.within(Field::Translated, &translated);
        let known = self.tracked();
        let translated = self.diagrams.guard(known, translated);
        let holds = self.diagrams.or_else(state, translated);
        let holds = if not { self.diagrams.not(holds) } else { holds };
        sets.others.push(holds);
    }
}

fn is_of_a_connection(test: &Test) -> bool {
    matches!(
        test,
        Test::Original
            | Test::OriginalDestination(_)
            | Test::OriginalDestinationPort(_)
            | Test::OriginalSource(_)
    )
}

fn types(types: &[AddressType]) -> IntervalSet {
    let value = |kind: &AddressType| match kind {
        AddressType::Unicast => 0,
        AddressType::Local => 1,
        AddressType::Broadcast => 2,
        AddressType::Multicast => 3,
    };
    values(&types.iter().map(value).collect::<Vec<_>>())
}

fn flags(mask: u8, set: u8) -> IntervalSet {
    let fits = |flags: &u128| (*flags & u128::from(mask)) == u128::from(set);
    values(&(0..=255).filter(fits).collect::<Vec<_>>())
}

fn icmp(kind: Option<(u8, Option<u8>)>) -> IntervalSet {
    let range = match kind {
        None => (0, 65_535),
        Some((kind, None)) => (u128::from(kind) << 8, u128::from(kind) << 8 | 255),
        Some((kind, Some(code))) => {
            let value = u128::from(kind) << 8 | u128::from(code);
            (value, value)
        }
    };
    IntervalSet::from_ranges(vec![range])
}
