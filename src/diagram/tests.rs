use proptest::prelude::*;

use super::*;
use crate::net::IntervalSet;

const MAXIMA: [u128; 4] = [6, 3, 4, 1];

/// A box: bounds for each level, and the answer inside.
type Box = ([(u128, u128); 4], u32);

fn a_box() -> impl Strategy<Value = Box> {
    let range = |max: u128| (0..=max, 0..=max).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let [a, b, c, d] = MAXIMA.map(range);
    ((a, b, c, d), 0..4u32).prop_map(|((a, b, c, d), answer)| ([a, b, c, d], answer))
}

fn boxes() -> impl Strategy<Value = Vec<Box>> {
    proptest::collection::vec(a_box(), 0..24)
}

struct Known {
    manager: Manager,
    levels: Vec<Level>,
}

fn known() -> Known {
    let mut manager = Manager::new(1 << 20);
    let levels = MAXIMA.map(|max| manager.add_level(max)).to_vec();
    Known { manager, levels }
}

impl Known {
    /// Makes the function in which the first box that holds a point and answers decides.
    fn make(&mut self, boxes: &[Box]) -> Node {
        let mut cubes = Vec::new();
        for (bounds, answer) in boxes {
            let set = |range: &(u128, u128)| IntervalSet::from_ranges(vec![*range]);
            let sets: Vec<_> = self
                .levels
                .iter()
                .copied()
                .zip(bounds.iter().map(set))
                .collect();
            cubes.push(self.manager.cube(&sets, Node::answer(*answer)));
        }
        self.manager.first_of(&cubes)
    }

    fn ask(&self, node: Node, point: [u128; 4]) -> u32 {
        self.manager.evaluate(node, &|level| {
            point[self.levels.iter().position(|it| *it == level).unwrap()]
        })
    }
}

fn naive(boxes: &[Box], point: [u128; 4]) -> u32 {
    let holds = |bounds: &[(u128, u128); 4]| {
        bounds
            .iter()
            .zip(point)
            .all(|((first, last), value)| (*first..=*last).contains(&value))
    };
    let found = boxes
        .iter()
        .find(|(bounds, answer)| *answer != 0 && holds(bounds));
    found.map_or(0, |(_, answer)| *answer)
}

fn points() -> impl Iterator<Item = [u128; 4]> {
    let [a, b, c, d] = MAXIMA;
    (0..=a).flat_map(move |a| {
        (0..=b).flat_map(move |b| (0..=c).flat_map(move |c| (0..=d).map(move |d| [a, b, c, d])))
    })
}

proptest! {
    #[test]
    fn functions_answer_as_their_boxes_do(one in boxes(), two in boxes()) {
        let mut known = known();
        let (a, b) = (known.make(&one), known.make(&two));
        let guarded = known.manager.guard(a, b);
        let except = known.manager.except(a, b);
        let differ = known.manager.differ(a, b);
        let zipped = known.manager.zip(a, b, &mut |a, b| a * 10 + b);
        let filled = known.manager.fill(2, a, b);
        for point in points() {
            let (a, b) = (naive(&one, point), naive(&two, point));
            prop_assert_eq!(known.ask(guarded, point), if a == 0 { 0 } else { b });
            prop_assert_eq!(known.ask(except, point), if b == 0 { a } else { 0 });
            prop_assert_eq!(known.ask(differ, point), u32::from(a != b));
            prop_assert_eq!(known.ask(zipped, point), a * 10 + b);
            prop_assert_eq!(known.ask(filled, point), if a == 2 { b } else { a });
        }
    }

    #[test]
    fn conditions_that_hold_are_counted(all in boxes()) {
        let mut known = known();
        let conditions: Vec<Box> = all.iter().map(|(bounds, _)| (*bounds, 1)).collect();
        let nodes: Vec<Node> = conditions.iter().map(|it| known.make(&[*it])).collect();
        let counted = known.manager.count(&nodes);
        for point in points() {
            let hold: u32 = conditions.iter().map(|it| naive(&[*it], point)).sum();
            prop_assert_eq!(known.ask(counted, point), hold.min(2));
        }
    }

    #[test]
    fn equal_functions_are_one_node(one in boxes()) {
        let mut known = known();
        let node = known.make(&one);
        let points: Vec<Box> = points()
            .map(|point| (point.map(|value| (value, value)), naive(&one, point)))
            .collect();
        prop_assert_eq!(node, known.make(&points));
        prop_assert_eq!(known.manager.differ(node, node), Node::NO);
    }

    #[test]
    fn fields_are_replaced(one in boxes(), value in 0..=3u128, not in any::<bool>()) {
        let mut known = known();
        let node = known.make(&one);
        let [first, second, third, last] = known.levels.clone().try_into().unwrap();
        let fixed = known.manager.restrict(node, second, value);
        let some = known.manager.exists(node, third);
        let bit = known.manager.substitute(node, &[(second, Instead::Bit { level: last, not })]);
        let renamed = known.manager.rename(node, second, first);
        for point @ [a, b, c, d] in points() {
            prop_assert_eq!(known.ask(fixed, point), naive(&one, [a, value, c, d]));
            let any = (0..=MAXIMA[2]).any(|c| naive(&one, [a, b, c, d]) != 0);
            prop_assert_eq!(known.ask(some, point) != 0, any);
            let copied = if not { 1 - d } else { d };
            prop_assert_eq!(known.ask(bit, point), naive(&one, [a, copied, c, d]));
            if a <= MAXIMA[1] {
                prop_assert_eq!(known.ask(renamed, point), naive(&one, [a, a, c, d]));
            }
        }
    }

    #[test]
    fn answers_become_functions(one in boxes(), two in boxes()) {
        let mut known = known();
        let (a, b) = (known.make(&one), known.make(&two));
        let made = known.manager.expand_some(a, &std::collections::BTreeMap::from([(2, b)]));
        for point in points() {
            let said = naive(&one, point);
            prop_assert_eq!(known.ask(made, point), if said == 2 { naive(&two, point) } else { said });
        }
    }

    /// What a set has beyond a level's largest value is nothing to that level.
    #[test]
    fn a_set_decides_for_each_value(
        ranges in proptest::collection::vec((0u128..8, 0u128..4), 0..4),
        endless in any::<bool>(),
    ) {
        let mut known = known();
        let level = known.levels[1];
        let mut ranges: Vec<_> = ranges.into_iter().map(|(first, more)| (first, first + more)).collect();
        ranges.extend(endless.then_some((9, u128::MAX)));
        let set = IntervalSet::from_ranges(ranges);
        let made = known.manager.choose(level, &set, Node::YES, Node::NO);
        for point in points() {
            prop_assert_eq!(known.ask(made, point), u32::from(set.contains(point[1])));
        }
    }

    #[test]
    fn pieces_are_each_their_part(all in boxes(), cut in 0..=MAXIMA[1], gap in any::<bool>()) {
        let mut known = known();
        let (one, two) = all.split_at(all.len() / 2);
        let (a, b) = (known.make(one), known.make(two));
        let level = known.levels[1];
        let parts = [(0, cut, a), (cut + 1 + u128::from(gap), u128::MAX, b)];
        let made = known.manager.pieces(level, &parts);
        let asks_before = |node| known.manager.level(node) == Some(known.levels[0]);
        prop_assert_eq!(made.is_none(), asks_before(a) || asks_before(b));
        let Some(made) = made else { return Ok(()) };
        for point in points() {
            let said = match point[1] {
                value if value <= cut => naive(one, point),
                value if gap && value == cut + 1 => 0,
                _ => naive(two, point),
            };
            prop_assert_eq!(known.ask(made, point), said);
        }
    }

    #[test]
    fn a_witness_is_one(one in boxes()) {
        let mut known = known();
        let node = known.make(&one);
        let found = known.manager.witness(node, &|_, first, _| (0, first));
        let mut some = points().filter(|point| naive(&one, *point) != 0);
        prop_assert_eq!(found.is_some(), some.next().is_some());
        if let Some(values) = found {
            let told = |level: Level| values.iter().find(|(it, _)| *it == level).map_or(0, |it| it.1);
            prop_assert_ne!(known.manager.evaluate(node, &told), 0);
        }
        for (at, level) in known.levels.clone().into_iter().enumerate() {
            let values = known.manager.values(node, level);
            for value in 0..=MAXIMA[at] {
                let any = points().any(|point| point[at] == value && naive(&one, point) != 0);
                prop_assert_eq!(values.contains(value), any);
            }
        }
    }
}

#[test]
fn too_many_edges_are_told() {
    let mut manager = Manager::new(100);
    let level = manager.add_level(u128::from(u32::MAX));
    let odd: Vec<(u128, u128)> = (0..200).map(|value| (value * 2, value * 2)).collect();
    manager.choose(level, &IntervalSet::from_ranges(odd), Node::YES, Node::NO);
    assert!(manager.is_exhausted());
}
