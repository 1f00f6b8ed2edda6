//! How a list is parted: by the prefix of its rules' sources or destinations, or by their ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

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

/// A range of numbers: of addresses with the bits of IPv4 on top, or of ports behind their protocol.
pub(super) type Range = (u128, u128);

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

/// Puts rules back in the order in which they stood.
fn as_they_stood(rules: Vec<Rule>, places: &[usize]) -> Vec<Rule> {
    if places.is_empty() {
        return rules;
    }
    // Rules are large: each is moved once.
    let mut order: Vec<usize> = (0..rules.len()).collect();
    order.sort_by_key(|at| places.get(*at));
    let mut rules: Vec<Option<Rule>> = rules.into_iter().map(Some).collect();
    let next = order.into_iter().filter_map(|at| rules.get_mut(at)?.take());
    next.collect()
}

/// Parts a list in at most `ways` parts, the longest first. Gives it back where nothing parts it. Rules
/// of a part that are told by ports stand as they stood.
pub(super) fn split(sorted: Sorted, ways: usize) -> Result<Vec<Way>, Vec<Rule>> {
    let Sorted { key, rules, places } = sorted;
    let ends = match key {
        Key::FirstPort | Key::Port => by_ports(key, &rules, ways),
        Key::Destination | Key::Source => {
            let ranges: Vec<Range> = rules.iter().filter_map(|rule| range(key, rule)).collect();
            by_prefix(&ranges, ways)
        }
    };
    if ends.len() < 2 {
        return Err(as_they_stood(rules, &places));
    }
    let mut parts = Vec::with_capacity(ends.len());
    let (mut rest, mut from) = (rules.into_iter(), 0);
    for end in ends {
        let part: Vec<Rule> = rest.by_ref().take(end - from).collect();
        parts.push(Way {
            condition: condition(key, &part),
            rules: as_they_stood(part, places.get(from..end).unwrap_or_default()),
        });
        from = end;
    }
    parts.sort_by_key(|way| std::cmp::Reverse(way.rules.len()));
    Ok(parts)
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

pub(super) fn addresses(net: IpNet) -> Range {
    let bits = |address| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    (
        bits(net.network()),
        bits(net.network()) | (u128::MAX.checked_shr(net.prefix_len().into()).unwrap_or(0)),
    )
}

/// Returns where each part ends. Ranges that touch the same port stay together, and each part has
/// one protocol, or all of one.
fn by_ports(key: Key, rules: &[Rule], ways: usize) -> Vec<usize> {
    let ranges: Vec<Range> = rules.iter().filter_map(|rule| range(key, rule)).collect();
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
        even(&cuts, rules.len(), ways)
    } else {
        changes
    };
    ends.push(rules.len());
    ends
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

/// Returns where each part ends: the longest part is halved at the first bit in which its prefixes
/// differ, until there are enough. Where one prefix holds all others nothing can be halved.
pub(super) fn by_prefix(ranges: &[Range], ways: usize) -> Vec<usize> {
    let mut parts = vec![(0, ranges.len(), halved(ranges, 0, ranges.len()))];
    while parts.len() < ways {
        let longest = parts.iter_mut().filter(|(_, _, middle)| middle.is_some());
        let Some(part) = longest.max_by_key(|(from, to, _)| to - from) else {
            break;
        };
        let (from, to, Some(middle)) = *part else {
            break;
        };
        *part = (from, middle, halved(ranges, from, middle));
        parts.push((middle, to, halved(ranges, middle, to)));
    }
    let mut ends: Vec<usize> = parts.into_iter().map(|(_, to, _)| to).collect();
    ends.sort_unstable();
    ends
}

/// Returns where the prefixes from `from` to `to` begin to differ in their first differing bit.
fn halved(ranges: &[Range], from: usize, to: usize) -> Option<usize> {
    let part = ranges.get(from..to)?;
    let (first, last) = (part.first()?.0, part.last()?.0);
    let bit = (first ^ last).checked_ilog2()?;
    let size = 1u128 << bit;
    if part.iter().any(|(first, last)| last - first >= size) {
        return None;
    }
    let middle = last & !(size - 1);
    Some(from + part.partition_point(|range| range.0 < middle))
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

/// Returns the smallest prefix that holds all addresses of a range, in the family of `like`.
pub(super) fn common(like: IpNet, first: u128, last: u128) -> Option<IpNet> {
    let bits = u8::try_from((first ^ last).leading_zeros()).unwrap_or(128);
    match like {
        IpNet::V4(_) => {
            let address = Ipv4Addr::from_bits(u32::try_from(first >> 96).unwrap_or(0));
            Ipv4Net::new(address, bits.min(32))
                .ok()
                .map(|net| net.trunc().into())
        }
        IpNet::V6(_) => {
            let address = Ipv6Addr::from_bits(first);
            Ipv6Net::new(address, bits)
                .ok()
                .map(|net| net.trunc().into())
        }
    }
}
