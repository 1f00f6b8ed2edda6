//! Covers against every packet of a small world.

use proptest::prelude::*;

use super::*;
use crate::diagram::Node;
use crate::net::{Family, IntervalSet};

const EDGES: usize = 1 << 20;

/// The values that the functions here tell apart; each stands for those up to the next.
const INPUTS: [u128; 3] = [0, 1, 2];
const PROTOCOLS: [u128; 4] = [0, 1, 6, 17];
const ENDS: [u128; 4] = [0, 10, 20, 30];
const PORTS: [u128; 3] = [0, 80, 81];

type Point = [u128; 6];

const FIELDS: [Field; 5] = [
    Field::Input,
    Field::Protocol,
    Field::Destination,
    Field::Port,
    Field::Source,
];

fn points() -> Vec<Point> {
    let mut found = vec![[0; 6]];
    let all: [&[u128]; 6] = [&INPUTS, &PROTOCOLS, &ENDS, &PORTS, &ENDS, &[0, 1]];
    for (at, values) in all.into_iter().enumerate() {
        let longer = found.iter().flat_map(|point| {
            values.iter().map(move |value| {
                let mut point = *point;
                point[at] = *value;
                point
            })
        });
        found = longer.collect();
    }
    // No port where a protocol has none.
    found.retain(|point| point[3] == 0 || [6, 17].contains(&point[1]));
    found
}

/// A first and a last value of each field, by place in its list.
type Shape = [(usize, usize); 6];

fn shape() -> impl Strategy<Value = Shape> {
    let range = |count: usize| (0..count, 0..count).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let bit = prop_oneof![4 => Just((0, 1)), 1 => Just((0, 0)), 1 => Just((1, 1))];
    (range(3), range(4), range(4), range(3), range(4), bit)
        .prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f])
}

fn shapes() -> impl Strategy<Value = Vec<(Shape, bool)>> {
    proptest::collection::vec((shape(), any::<bool>()), 0..6)
}

struct World {
    space: Space,
    unknown: crate::diagram::Level,
}

fn world() -> World {
    let mut space = Space::new(Family::V4, [], &["a", "b"], EDGES);
    let unknown = space.unknown(Unknown {
        text: "-m limit".to_owned(),
        place: None,
    });
    World { space, unknown }
}

fn set(values: &[u128], (first, last): (usize, usize), max: u128) -> IntervalSet {
    let end = values.get(last + 1).map_or(max, |next| next - 1);
    IntervalSet::from_ranges(vec![(values[first], end)])
}

impl World {
    /// Makes the condition that holds where the first shape around a packet says so.
    fn make(&mut self, shapes: &[(Shape, bool)]) -> Node {
        let lists: [&[u128]; 5] = [&INPUTS, &PROTOCOLS, &ENDS, &PORTS, &ENDS];
        let mut cubes = Vec::new();
        for (shape, holds) in shapes {
            let mut sets = Vec::new();
            for ((field, list), range) in FIELDS.iter().zip(lists).zip(shape) {
                let level = self.space.level(*field);
                sets.push((level, set(list, *range, self.space.diagrams.max(level))));
            }
            sets.push((self.unknown, set(&[0, 1], shape[5], 1)));
            let answer = Node::answer(1 + u32::from(*holds));
            cubes.push(self.space.diagrams.cube(&sets, answer));
        }
        let first = self.space.diagrams.first_of(&cubes);
        let manager = &mut self.space.diagrams;
        manager.map(first, &mut |answer| u32::from(answer == 2))
    }

    fn holds(&self, node: Node, point: &Point) -> bool {
        let value = |level| match FIELDS
            .iter()
            .position(|field| self.space.level(*field) == level)
        {
            Some(at) => point[at],
            None if level == self.unknown => point[5],
            None => 0,
        };
        self.space.diagrams.evaluate(node, &value) == 1
    }
}

proptest! {
    #[test]
    fn products_hold_what_the_condition_holds_and_can_be_no_larger(holds in shapes(), free in shapes()) {
        let mut world = world();
        let (holds, free) = (world.make(&holds), world.make(&free));
        let cover = world.space.cover(holds, free, 1_000);
        prop_assert_eq!(cover.rest, Node::NO);
        let nodes: Vec<Node> = cover.products.iter().map(|it| it.node(&mut world.space)).collect();
        let points = points();
        for point in &points {
            let inside = world.holds(holds, point) || world.holds(free, point);
            let covered = nodes.iter().any(|node| world.holds(*node, point));
            prop_assert!(!covered || inside, "{point:?} is in no set");
            let wanted = world.holds(holds, point) && !world.holds(free, point);
            prop_assert!(!wanted || covered, "{point:?} is missing");
        }
        for (product, node) in cover.products.iter().zip(nodes) {
            let depends = !product.taken(&world.space).is_empty();
            for (at, field) in [(0, Field::Input), (2, Field::Destination), (4, Field::Source)] {
                let set = product.values(&world.space, field);
                let other = points.iter().map(|point| point[at]).find(|it| !set.contains(*it));
                // What depends on an answer is kept apart from what does not.
                let Some(other) = other.filter(|_| !depends) else { continue };
                let mut larger = points.iter().filter(|it| world.holds(node, it)).map(|point| {
                    let mut point = *point;
                    point[at] = other;
                    point
                });
                let fits = |point: &Point| [0, 1].iter().all(|bit| {
                    let point = [point[0], point[1], point[2], point[3], point[4], *bit];
                    world.holds(holds, &point) || world.holds(free, &point)
                });
                prop_assert!(larger.any(|point| !fits(&point)), "{field:?} may be {other}");
            }
        }
    }
}

#[test]
fn a_limit_leaves_a_rest_and_says_how_much_is_told() {
    let mut world = world();
    let space = &mut world.space;
    let half = IntervalSet::from_ranges(vec![(0, 0x7fff_ffff)]);
    let source = space.within(Field::Source, &half);
    let target = space.within(Field::Destination, &half);
    let either = space.diagrams.or_else(source, target);
    let cover = space.cover(either, Node::NO, 1);
    assert_ne!(cover.rest, Node::NO);
    assert!((cover.share - 2.0 / 3.0).abs() < 0.01, "{}", cover.share);
    assert_eq!(space.cover(either, Node::NO, 2).rest, Node::NO);
}

#[test]
fn a_service_needs_no_word_of_ports_where_there_are_none() {
    let mut space = Space::new(Family::V4, [], &[], EDGES);
    let ports = space.within(Field::Port, &IntervalSet::from_ranges(vec![(0, 9)]));
    let cover = space.cover(ports, Node::NO, 10);
    let [product] = cover.products.as_slice() else {
        panic!("{cover:?}");
    };
    let gre = space.diagrams.at(product.service, 47);
    assert_eq!(gre, Node::YES);
}
