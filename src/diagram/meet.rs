//! A packet for which several functions answer as wanted, without making what they are together.

use super::store::{Level, Manager, Node};

/// A function, and whether it must answer something else than 0.
pub type Wanted = (Node, bool);

/// Values of fields, the deepest first.
type Values = Vec<(Level, u128)>;

impl Manager {
    /// Returns a packet's fields where all functions answer as wanted; fields that are not named may be
    /// anything. Nothing, too, where none is found in `steps`.
    pub fn meeting(&self, wanted: &[Wanted], mut steps: usize) -> Option<Vec<(Level, u128)>> {
        let mut values = Values::new();
        let found = self.meet(wanted.to_vec(), &mut steps, &mut values);
        found.then_some(values)
    }

    fn meet(&self, mut wanted: Vec<Wanted>, steps: &mut usize, values: &mut Values) -> bool {
        if wanted.iter().any(|it| is_settled(*it) == Some(false)) {
            return false;
        }
        wanted.retain(|it| is_settled(*it).is_none());
        let levels = wanted.iter().filter_map(|(node, _)| self.level(*node));
        let Some(level) = levels.min() else {
            return wanted.is_empty();
        };
        let mut value = 0;
        loop {
            let Some(left) = steps.checked_sub(1) else {
                return false;
            };
            *steps = left;
            let (below, last) = self.below(&wanted, level, value);
            if self.meet(below, steps, values) {
                values.push((level, value));
                return true;
            }
            if last >= self.max(level) {
                return false;
            }
            value = last + 1;
        }
    }

    /// Returns where functions lead for a value, and the last value for which that need not be tried again.
    fn below(&self, wanted: &[Wanted], level: Level, value: u128) -> (Vec<Wanted>, u128) {
        let (mut same, mut never) = (u128::MAX, 0);
        let mut below = Vec::with_capacity(wanted.len());
        for (node, yes) in wanted {
            if self.level(*node) != Some(level) {
                below.push((*node, *yes));
                continue;
            }
            let (last, to) = self.edge(self.edge_at(*node, value));
            same = same.min(last);
            if is_settled((to, *yes)) == Some(false) {
                never = never.max(last);
            }
            below.push((to, *yes));
        }
        (below, same.max(never))
    }
}

/// Tells of a function that asks nothing whether it answers as wanted.
fn is_settled((node, yes): Wanted) -> Option<bool> {
    node.as_answer().map(|answer| (answer != 0) == yes)
}
