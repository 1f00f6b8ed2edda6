//! Rules of a list that differ in their source alone, taken together: long lists are mostly that.

use std::borrow::Cow;

use crate::netfilter::dump::{Action, Condition, DumpRule, Test};

/// Rules in a row that do the same.
pub(super) struct Run<'d> {
    /// The first of them.
    pub rule: &'d DumpRule,
    /// Its conditions, with the sources of all.
    pub conditions: Cow<'d, [Condition]>,
}

/// Joins neighbours that do the same for other sources.
pub(super) fn runs<'d>(rules: impl Iterator<Item = &'d DumpRule>) -> Vec<Run<'d>> {
    let mut found: Vec<Run<'d>> = Vec::new();
    for rule in rules {
        match found.last_mut() {
            Some(run) if is_alike(run.rule, rule) => join(run, rule),
            _ => found.push(Run {
                rule,
                conditions: Cow::Borrowed(&rule.conditions),
            }),
        }
    }
    found
}

fn join(run: &mut Run<'_>, rule: &DumpRule) {
    let more = rule.conditions.iter().find_map(sources);
    let mut all = run.conditions.to_mut().iter_mut();
    let sets = all.find_map(|condition| match &mut condition.test {
        Test::Source(nets) => Some(nets),
        _ => None,
    });
    if let (Some(nets), Some(more)) = (sets, more) {
        nets.extend_from_slice(more);
    }
}

fn sources(condition: &Condition) -> Option<&[ipnet::IpNet]> {
    match &condition.test {
        Test::Source(nets) if !condition.not => Some(nets),
        _ => None,
    }
}

/// Tells whether two rules could be one with two sources: each says one, all else is the same, and doing
/// it twice is the same as doing it once.
fn is_alike(one: &DumpRule, other: &DumpRule) -> bool {
    let pairs = || one.conditions.iter().zip(&other.conditions);
    let alike = |(a, b): (&Condition, &Condition)| {
        a == b && !matches!(a.test, Test::Opaque(_)) || sources(a).and(sources(b)).is_some()
    };
    one.conditions.len() == other.conditions.len()
        && one.action == other.action
        && is_done_once(&one.action, &one.conditions)
        && pairs().all(alike)
        && pairs().filter(|(a, _)| sources(a).is_some()).count() == 1
}

/// Tells whether doing it twice is the same as doing it once, and no condition asks what it sets.
pub(super) fn is_done_once(action: &Action, conditions: &[Condition]) -> bool {
    match action {
        Action::Accept | Action::Drop | Action::Return | Action::Goto(_) => true,
        // What it sets must not be what it asks.
        Action::Mark { flip, clear } => {
            let asks = |it: &Condition| matches!(it.test, Test::Mark { .. });
            flip & !clear == 0 && !conditions.iter().any(asks)
        }
        _ => false,
    }
}
