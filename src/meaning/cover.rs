//! What a condition on first packets holds for, as few sets that people can read: for each field the
//! values that it may have, whatever the others are.

use std::collections::BTreeMap;

use super::conditions::{WITH_PORTS, values};
use super::space::{Field, Space};
use crate::diagram::{Instead, Level, Node};
use crate::net::{Family, IntervalSet};

/// The fields that together say what is asked for.
const SERVICE: [Field; 3] = [Field::Protocol, Field::Port, Field::Icmp];
/// The fields that are widened one by one, who before whom.
const ENDS: [Field; 4] = [
    Field::Input,
    Field::Source,
    Field::Destination,
    Field::SourcePort,
];

/// Packets whose fields lie in their sets, each in its own, and that ask for a service.
#[derive(Debug, Clone)]
pub struct Product {
    /// A field that is not here may have every value.
    sets: BTreeMap<Level, IntervalSet>,
    /// A condition on protocol, port and ICMP type.
    pub service: Node,
}

/// Products that make up a condition, some of them together.
#[derive(Debug, Clone)]
pub struct Cover {
    pub products: Vec<Product>,
    /// What no product holds; no packet where the cover is whole.
    pub rest: Node,
    /// The part of the condition that the products hold, from 0 to 1.
    pub share: f64,
}

impl Product {
    /// Returns the values of a field.
    pub fn values(&self, space: &Space, field: Field) -> IntervalSet {
        let known = self.sets.get(&space.level(field)).cloned();
        known.unwrap_or_else(|| space.everything(field))
    }

    /// Returns the matches that only the kernel can answer, with the answer that each must have.
    pub fn taken<'s>(&self, space: &'s Space) -> Vec<(&'s str, bool)> {
        let taken = |(what, level): (&'s super::Unknown, Level)| {
            let set = self.sets.get(&level)?;
            (set.ranges().len() == 1 && set.contains(0) != set.contains(1))
                .then(|| (what.text.as_str(), set.contains(1)))
        };
        space.all_unknown().filter_map(taken).collect()
    }

    /// Returns yes for the packets of the product.
    pub fn node(&self, space: &mut Space) -> Node {
        let sets: Vec<(Level, IntervalSet)> = self.sets.clone().into_iter().collect();
        let cube = space.diagrams.cube(&sets, Node::YES);
        space.diagrams.guard(cube, self.service)
    }
}

impl Space {
    /// Lets a function of first packets see no port where a protocol has none, and no ICMP type but of
    /// ICMP: such fields have no value there.
    pub fn pinned(&mut self, node: Node) -> Node {
        let mut zero = |node: Node, fields: &[Field]| {
            let level = |field: &Field| (self.level(*field), Instead::Value(0));
            let instead: Vec<(Level, Instead)> = fields.iter().map(level).collect();
            self.diagrams.substitute(node, &instead)
        };
        let with_ports = zero(node, &[Field::Icmp]);
        let icmp = zero(node, &[Field::Port, Field::SourcePort]);
        let others = zero(icmp, &[Field::Icmp]);
        let number = if self.family == Family::V6 { 58 } else { 1 };
        let is_icmp = self.is(Field::Protocol, number);
        let has_ports = self.within(Field::Protocol, &values(&WITH_PORTS));
        let others = self.diagrams.select(is_icmp, icmp, others);
        self.diagrams.select(has_ports, with_ports, others)
    }

    /// Covers a condition by products that cannot be larger, no more than `limit` of them. They may
    /// hold packets of `free`, too, if that makes them easier to tell.
    pub fn cover(&mut self, holds: Node, free: Node, limit: usize) -> Cover {
        let (holds, free) = (self.pinned(holds), self.pinned(free));
        let wanted = self.diagrams.except(holds, free);
        let inside = self.diagrams.or_else(holds, free);
        let certain = self.certain(inside);
        let unsure = self.diagrams.except(inside, certain);
        let unsure = self.diagrams.or_else(unsure, free);
        let mut rest = wanted;
        let mut products = Vec::new();
        // What does not depend on the kernel's answers comes first, and needs no word of them.
        for inside in [certain, unsure] {
            while products.len() < limit {
                let open = self.diagrams.guard(rest, inside);
                let Some(witness) = self.witness(open, &[]) else {
                    break;
                };
                let product = self.product(inside, &witness);
                let node = product.node(self);
                rest = self.diagrams.except(rest, node);
                products.push(product);
            }
        }
        let (all, left) = (self.diagrams.share(wanted), self.diagrams.share(rest));
        Cover {
            products,
            rest,
            share: if rest == Node::NO {
                1.0
            } else {
                1.0 - left / all
            },
        }
    }

    /// Returns where a condition holds whatever the kernel answers where only it can.
    fn certain(&mut self, node: Node) -> Node {
        let fields: Vec<Level> = Field::ALL.iter().map(|it| self.level(*it)).collect();
        self.diagrams.every(node, &BTreeMap::new(), &fields)
    }

    /// Returns a packet for which a condition holds: by one of some interfaces and of TCP or UDP, where
    /// there is one.
    pub fn witness(&self, node: Node, inputs: &[u128]) -> Option<Vec<(Level, u128)>> {
        let (input, protocol) = (self.level(Field::Input), self.level(Field::Protocol));
        self.diagrams.witness(node, &|level, first, last| {
            let liked = match level {
                level if level == input => inputs,
                level if level == protocol => &[6, 17],
                _ => &[],
            };
            let mut known = liked.iter().zip(0..);
            let best = known.find(|(value, _)| (first..=last).contains(*value));
            best.map_or((u32::MAX, first), |(value, rank)| (rank, *value))
        })
    }

    /// Widens each field of a packet as far as all stays inside, what only the kernel can answer first.
    fn product(&mut self, inside: Node, witness: &[(Level, u128)]) -> Product {
        let single = |(level, value): &(Level, u128)| (*level, values(&[*value]));
        let mut sets: BTreeMap<Level, IntervalSet> = witness.iter().map(single).collect();
        let unknown: Vec<Level> = self.all_unknown().map(|(_, level)| level).collect();
        let ends = ENDS.map(|field| self.level(field));
        for level in unknown.into_iter().chain(ends) {
            if sets.remove(&level).is_some() {
                let node = self.diagrams.every(inside, &sets, &[level]);
                let wide = self.diagrams.values(node, level);
                if wide.ranges() != [(0, self.diagrams.max(level))] {
                    sets.insert(level, wide);
                }
            }
        }
        let service = SERVICE.map(|field| self.level(field));
        sets.retain(|level, _| !service.contains(level));
        Product {
            service: self.diagrams.every(inside, &sets, &service),
            sets,
        }
    }
}
