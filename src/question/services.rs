//! Conditions on protocol, port and ICMP type in words.

use std::collections::BTreeMap;

use super::names::Words;
use crate::diagram::Node;
use crate::meaning::{Field, Space};
use crate::net::IntervalSet;

/// The fields that say what is asked for.
pub(super) const FIELDS: [Field; 3] = [Field::Protocol, Field::Port, Field::Icmp];

/// A part of a service that one line may be about.
#[derive(Debug, Clone)]
pub(super) struct Item {
    word: String,
    pub(super) node: Node,
}

/// Names what is asked for.
pub(super) fn words(space: &mut Space, node: Node) -> Words {
    if node == Node::YES {
        return Words::of(vec!["any".to_owned()]);
    }
    let positive = said(&items(space, node));
    let others = space.diagrams.not(node);
    let most = Words {
        these: vec!["any".to_owned()],
        except: said(&items(space, others)),
    };
    Words::of(positive).or_shorter(most)
}

fn said(items: &[Item]) -> Vec<String> {
    items.iter().map(|item| item.word.clone()).collect()
}

/// Splits what is asked for by protocol, and by range of ports or of types.
pub(super) fn items(space: &mut Space, node: Node) -> Vec<Item> {
    let level = space.level(Field::Protocol);
    let branches = if space.diagrams.level(node) == Some(level) {
        space.diagrams.branches(node)
    } else {
        vec![(0, space.diagrams.max(level), node)]
    };
    let mut by_rest: BTreeMap<Node, Vec<(u128, u128)>> = BTreeMap::new();
    for (first, last, rest) in branches {
        by_rest.entry(rest).or_default().push((first, last));
    }
    let mut found = Vec::new();
    for (rest, protocols) in by_rest {
        if rest == Node::YES {
            found.extend(protocols.iter().flat_map(|range| whole(space, *range)));
        } else if rest != Node::NO {
            for (first, last) in protocols {
                found.extend((first..=last).flat_map(|protocol| parts(space, protocol, rest)));
            }
        }
    }
    found
}

/// All of some protocols: those that have a name each by itself.
fn whole(space: &mut Space, (first, last): (u128, u128)) -> Vec<Item> {
    let mut ranges: Vec<(u128, u128)> = Vec::new();
    if last - first < 4 {
        ranges.extend((first..=last).map(|it| (it, it)));
    } else {
        ranges.push((first, last));
    }
    let item = |(first, last): (u128, u128)| Item {
        word: if first == last {
            protocol(first)
        } else {
            format!("protocols {first}-{last}")
        },
        node: space.within(
            Field::Protocol,
            &IntervalSet::from_ranges(vec![(first, last)]),
        ),
    };
    ranges.into_iter().map(item).collect()
}

/// Some ports, or some types, of a protocol.
fn parts(space: &mut Space, number: u128, rest: Node) -> Vec<Item> {
    let icmp = space.diagrams.level(rest) == Some(space.level(Field::Icmp));
    let field = if icmp { Field::Icmp } else { Field::Port };
    let set = space.diagrams.values(rest, space.level(field));
    let here = space.is(Field::Protocol, number);
    let mut found = Vec::new();
    for (first, last) in set.ranges() {
        let range = IntervalSet::from_ranges(vec![(*first, *last)]);
        let within = space.within(field, &range);
        found.push(Item {
            word: if icmp {
                types(*first, *last)
            } else {
                ports(*first, *last, &protocol(number))
            },
            node: space.diagrams.guard(here, within),
        });
    }
    found
}

fn ports(first: u128, last: u128, protocol: &str) -> String {
    if first == last {
        format!("{first}/{protocol}")
    } else {
        format!("{first}-{last}/{protocol}")
    }
}

fn types(first: u128, last: u128) -> String {
    let (from, to) = (first >> 8, last >> 8);
    match (first & 255, last & 255) {
        (0, 255) if from == to => format!("icmp type {from}"),
        (0, 255) => format!("icmp types {from}-{to}"),
        (code, _) if first == last => format!("icmp type {from} code {code}"),
        (code, end) => format!("icmp type {from} code {code} to type {to} code {end}"),
    }
}

fn protocol(number: u128) -> String {
    let known = match number {
        1 | 58 => "icmp",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        132 => "sctp",
        136 => "udplite",
        other => return format!("protocol {other}"),
    };
    known.to_owned()
}
