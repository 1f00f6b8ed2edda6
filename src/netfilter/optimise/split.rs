//! How a list is parted: by the prefix of its rules' sources or destinations, or by their ports.

use super::prefixes::{Range, addresses, by_prefix, common};
use crate::net::PortRange;
use crate::netfilter::rule::{Conntrack, Rule, Service};
use crate::policy::ir::Protocol;

/// What rules are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// The port that a translated connection was first sent to.
    FirstPort,
    Port,
    Destination,
    Source,
}

const KEYS: [Key; 4] = [Key::FirstPort, Key::Port, Key::Destination, Key::Source];

/// Rules of one way, and the condition that all their packets fulfil and no other way's.
pub(super) struct Way {
    pub(super) condition: Rule,
    pub(super) rules: Vec<Rule>,
}

/// A list in the order of a key that all of it has.
pub(super) struct Sorted {
    key: Key,
    rules: Vec<Rule>,
    /// Where each rule stood, if that counts: rules of one port may do different things.
    places: Vec<usize>,
}

impl Sorted {
    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }
}

/// Sorts a list by the key that has the most values in it; rules without that key are left apart.
pub(super) fn keyed(list: Vec<Rule>) -> Option<(Sorted, Vec<Rule>)> {
    let values = |key: &Key| {
        let mut ranges: Vec<Range> = list.iter().filter_map(|rule| range(*key, rule)).collect();
        ranges.sort_unstable();
        ranges.dedup();
        ranges.len()
    };
    // Of two equal ones the first.
    let key = KEYS.into_iter().rev().max_by_key(values)?;
    let (rules, others): (Vec<_>, Vec<_>) = list
        .into_iter()
        .partition(|rule| range(key, rule).is_some());
    Some((sorted(key, rules), others))
}

/// Sorts a list by a key that all of it has.
pub(super) fn sorted(key: Key, mut rules: Vec<Rule>) -> Sorted {
    let mut places = Vec::new();
    if matches!(key, Key::FirstPort | Key::Port) {
        places.extend(0..rules.len());
        places.sort_by_key(|at| rules.get(*at).and_then(|rule| range(key, rule)));
    }
    rules.sort_by_cached_key(|rule| range(key, rule));
    Sorted { key, rules, places }
}

/// Parts a list in at most `ways` parts, in the order in which packets have to be held against them.
/// Gives it back where nothing parts it. Rules of a part that are told by ports stand as they stood.
pub(super) fn split(sorted: Sorted, ways: usize) -> Result<Vec<Way>, Vec<Rule>> {
    let Sorted { key, rules, places } = sorted;
    let ranges: Vec<Range> = rules.iter().filter_map(|rule| range(key, rule)).collect();
    let parts = match key {
        Key::FirstPort | Key::Port => by_ports(&ranges, ways),
        Key::Destination | Key::Source => by_prefix(&ranges, ways),
    };
    // Rules are large: each is moved once.
    let mut rules: Vec<Option<Rule>> = rules.into_iter().map(Some).collect();
    let mut as_they_stood = |mut part: Vec<usize>| -> Vec<Rule> {
        part.sort_by_key(|at| places.get(*at));
        let next = part.into_iter().filter_map(|at| rules.get_mut(at)?.take());
        next.collect()
    };
    if parts.len() < 2 {
        return Err(as_they_stood((0..ranges.len()).collect()));
    }
    let way = |rules: Vec<Rule>| Way {
        condition: condition(key, &rules),
        rules,
    };
    Ok(parts
        .into_iter()
        .map(|part| way(as_they_stood(part)))
        .collect())
}

/// Returns the values of a key for which a rule may match.
pub(super) fn range(key: Key, rule: &Rule) -> Option<Range> {
    match key {
        Key::Source => rule.source.map(addresses),
        Key::Destination => rule.destination.map(addresses),
        Key::FirstPort => match (rule.conntrack, rule.service) {
            (Some(Conntrack::Published { ports, .. }), Some(Service::To(protocol, _))) => {
                Some(numbers(protocol, ports))
            }
            _ => None,
        },
        Key::Port => match rule.service {
            Some(Service::To(protocol, ports)) => Some(numbers(protocol, ports)),
            _ => None,
        },
    }
}

fn numbers(protocol: Protocol, ports: PortRange) -> Range {
    let base = (protocol as u128) << 16;
    (
        base | u128::from(ports.first),
        base | u128::from(ports.last),
    )
}

/// Returns the places of each part's rules, the longest part first. Ranges that touch the same port stay
/// together, and each part has one protocol, or all of one.
fn by_ports(ranges: &[Range], ways: usize) -> Vec<Vec<usize>> {
    let protocol = |at: usize| ranges.get(at).map(|range| range.0 >> 16);
    let mut cuts = Vec::new();
    let mut last = 0;
    for (at, range) in ranges.iter().enumerate() {
        if at > 0 && range.0 > last {
            cuts.push(at);
        }
        last = last.max(range.1);
    }
    let changes: Vec<usize> = cuts
        .iter()
        .copied()
        .filter(|at| protocol(*at) != protocol(*at - 1))
        .collect();
    let mut ends = if changes.is_empty() {
        even(&cuts, ranges.len(), ways)
    } else {
        changes
    };
    ends.push(ranges.len());
    let mut from = 0;
    let part = |end| (std::mem::replace(&mut from, end)..end).collect();
    let mut parts: Vec<Vec<usize>> = ends.into_iter().map(part).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts
}

/// Picks those cuts that part a list most evenly.
fn even(cuts: &[usize], length: usize, ways: usize) -> Vec<usize> {
    let wanted = (1..ways).map(|part| part * length / ways);
    let mut ends: Vec<usize> = wanted
        .filter_map(|at| cuts.get(cuts.partition_point(|cut| *cut < at)).copied())
        .collect();
    if ends.is_empty() {
        ends.extend(cuts.last());
    }
    ends.dedup();
    ends
}

/// Returns what all packets of a part fulfil.
fn condition(key: Key, rules: &[Rule]) -> Rule {
    let ranges = || rules.iter().filter_map(|rule| range(key, rule));
    let first = ranges().map(|range| range.0).min().unwrap_or(0);
    let last = ranges().map(|range| range.1).max().unwrap_or(0);
    let sample = rules.first();
    match key {
        Key::Source => Rule {
            source: sample.and_then(|rule| common(rule.source?, first, last)),
            ..Rule::default()
        },
        Key::Destination => Rule {
            destination: sample.and_then(|rule| common(rule.destination?, first, last)),
            ..Rule::default()
        },
        Key::Port | Key::FirstPort => {
            let one = rules.iter().filter_map(protocol_of).max()
                == rules.iter().filter_map(protocol_of).min();
            let protocol = sample.and_then(protocol_of).filter(|_| one);
            ports(key, protocol, first, last)
        }
    }
}

fn protocol_of(rule: &Rule) -> Option<Protocol> {
    match rule.service {
        Some(Service::To(protocol, _)) => Some(protocol),
        _ => None,
    }
}

fn ports(key: Key, protocol: Option<Protocol>, first: u128, last: u128) -> Rule {
    let port = |number: u128| u16::try_from(number & 0xffff).unwrap_or(u16::MAX);
    let ports = PortRange {
        first: port(first),
        last: port(last),
    };
    match (key, protocol) {
        (_, None) => Rule::default(),
        (Key::FirstPort, Some(protocol)) => Rule {
            service: Some(Service::All(protocol)),
            conntrack: Some(Conntrack::Published {
                address: None,
                ports,
            }),
            ..Rule::default()
        },
        (_, Some(protocol)) => Rule {
            service: Some(Service::To(protocol, ports)),
            ..Rule::default()
        },
    }
}
