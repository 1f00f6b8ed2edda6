//! Chains whose rules ask nothing but one address: long lists, and the chains of their trees. What such a
//! chain does is put together in one pass, instead of rule after rule.

use std::collections::BTreeMap;

use super::chains::Chains;
use super::conditions::Place;
use super::runs::Run;
use super::space::{Field, Space, prefixes};
use crate::diagram::Node;
use crate::net::IntervalSet;
use crate::netfilter::dump::{Action, Condition, Test};

impl Chains<'_> {
    /// Returns the outcomes of a chain for who jumps to it, if each of its rules asks the same address and
    /// nothing else, and no packet meets a second one of them.
    pub(super) fn by_address(
        &self,
        space: &mut Space,
        runs: &[Run<'_>],
        place: Place<'_>,
    ) -> Option<Node> {
        let (field, _) = address(&runs.first()?.conditions)?;
        let mut taken = IntervalSet::default();
        let mut pieces = Vec::new();
        for (at, run) in runs.iter().enumerate() {
            let (_, set) = address(&run.conditions).filter(|(asked, _)| *asked == field)?;
            let is_last = at + 1 == runs.len();
            let does = self.ending(space, &run.rule.action, is_last, place)?;
            let here = set.difference(&taken);
            pieces.extend(
                here.ranges()
                    .iter()
                    .map(|&(first, last)| (first, last, does)),
            );
            taken = taken.union(&here);
        }
        pieces.sort_unstable_by_key(|piece| piece.0);
        let level = space.level(field);
        space.diagrams.pieces(level, &pieces)
    }

    /// Returns what an action does with which a packet leaves the chain, by the chain's end where the
    /// rule is the last one.
    fn ending(
        &self,
        space: &mut Space,
        action: &Action,
        is_last: bool,
        place: Place<'_>,
    ) -> Option<Node> {
        let ends = match action {
            Action::Return => return Some(Node::NO),
            // Its end is the end of this chain.
            Action::Goto(next) => return Some(self.known(next)),
            Action::Accept | Action::Drop => true,
            Action::Mark { .. } => is_last,
            _ => false,
        };
        ends.then(|| self.action(space, action, place, &mut BTreeMap::new()))
    }
}

/// Returns the only thing that conditions ask, if that is an address.
fn address(conditions: &[Condition]) -> Option<(Field, IntervalSet)> {
    match conditions {
        [Condition { not: false, test }] => match test {
            Test::Source(nets) => Some((Field::Source, prefixes(nets))),
            Test::Destination(nets) => Some((Field::Destination, prefixes(nets))),
            _ => None,
        },
        _ => None,
    }
}
