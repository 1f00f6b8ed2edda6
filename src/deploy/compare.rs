//! The difference between the rules a chain should have and those it has.

use std::collections::{BTreeMap, VecDeque};

use ipnet::IpNet;

use crate::netfilter::save::RuleLines;

/// One difference; rules are numbered from 1, as iptables(8) does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RuleChange {
    Added {
        rule: usize,
        found: String,
    },
    Changed {
        rule: usize,
        found: String,
    },
    Gone {
        rule: usize,
    },
    /// The chain has its rules, but in another order; the first that is out of place is named.
    Reordered {
        rule: usize,
        found: String,
    },
}

/// Returns how `found` differs from `wanted`.
///
/// A rule that went and one that came between the same two neighbours are one change. `rule` is
/// the number in the wanted chain, or in the found one for a rule that was added.
pub(super) fn compare(wanted: &RuleLines, found: &RuleLines) -> Vec<RuleChange> {
    if wanted == found {
        return Vec::new();
    }
    let [wanted, found] = [wanted, found].map(|rules| rules.iter().collect::<Vec<_>>());
    changes(&wanted, &found)
}

fn changes(wanted: &[&str], found: &[&str]) -> Vec<RuleChange> {
    let pairs = pair(wanted, found);
    let gone = unpaired(wanted.len(), pairs.iter().map(|pair| pair.0));
    let came = unpaired(found.len(), pairs.iter().map(|pair| pair.1));
    let mut came = came.into_iter().peekable();
    let mut changes = Vec::new();
    for (gap, rule) in gone {
        // Rules that came before this one's neighbours belong to no rule that went.
        while let Some((_, at)) = came.next_if(|(other, _)| *other < gap) {
            changes.push(added(at, found));
        }
        changes.push(match came.next_if(|(other, _)| *other == gap) {
            None => RuleChange::Gone { rule: rule + 1 },
            Some((_, at)) => RuleChange::Changed {
                rule: rule + 1,
                found: text(found, at),
            },
        });
    }
    changes.extend(came.map(|(_, at)| added(at, found)));
    changes.extend(reordered(&pairs, found));
    changes
}

fn added(at: usize, found: &[&str]) -> RuleChange {
    RuleChange::Added {
        rule: at + 1,
        found: text(found, at),
    }
}

fn text(rules: &[&str], at: usize) -> String {
    rules.get(at).copied().unwrap_or_default().to_owned()
}

/// Pairs each wanted rule with the next found one of the same text, in the order of `wanted`.
fn pair(wanted: &[&str], found: &[&str]) -> Vec<(usize, usize)> {
    let mut places: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
    for (rule, at) in found.iter().zip(0..) {
        places.entry(rule).or_default().push_back(at);
    }
    let mut take = |rule: &str| places.get_mut(rule)?.pop_front();
    let pairs = wanted.iter().zip(0..);
    pairs
        .filter_map(|(rule, at)| Some((at, take(rule)?)))
        .collect()
}

/// Returns the places that no pair has, each with the number of paired places before it.
fn unpaired(length: usize, paired: impl Iterator<Item = usize>) -> Vec<(usize, usize)> {
    let mut has_pair = vec![false; length];
    for at in paired {
        if let Some(flag) = has_pair.get_mut(at) {
            *flag = true;
        }
    }
    let mut before = 0;
    let mut alone = Vec::new();
    for (flag, at) in has_pair.into_iter().zip(0..) {
        if flag {
            before += 1;
        } else {
            alone.push((before, at));
        }
    }
    alone
}

/// Returns the first wanted rule that is found behind one which should follow it.
fn reordered(pairs: &[(usize, usize)], found: &[&str]) -> Option<RuleChange> {
    let mut order: Vec<usize> = pairs.iter().map(|(_, at)| *at).collect();
    let is: Vec<usize> = order.clone();
    order.sort_unstable();
    let (rule, at) = pairs
        .iter()
        .zip(is.iter().zip(&order))
        .find_map(|((rule, _), (is, should))| (is != should).then_some((*rule, *should)))?;
    Some(RuleChange::Reordered {
        rule: rule + 1,
        found: text(found, at),
    })
}

/// Returns whether no packet can match `rule` and one of `others`: all of them name their source, and
/// no two sources overlap.
pub(super) fn never_meet<'r>(rule: &str, mut others: impl Iterator<Item = &'r str>) -> bool {
    let Some(source) = source(rule) else {
        return false;
    };
    let overlaps = |other: IpNet| source.contains(&other) || other.contains(&source);
    others.all(|rule| self::source(rule).is_some_and(|other| !overlaps(other)))
}

/// Returns the prefix that a rule's packets come from; iptables-save(8) prints that match first, and
/// a negated one begins with `!`.
fn source(rule: &str) -> Option<IpNet> {
    let (source, _) = rule.strip_prefix("-s ")?.split_once(' ')?;
    source.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(letters: &str) -> RuleLines {
        let letters: Vec<String> = letters.chars().map(String::from).collect();
        letters.iter().map(String::as_str).collect()
    }

    fn compared(wanted: &str, found: &str) -> Vec<RuleChange> {
        compare(&rules(wanted), &rules(found))
    }

    fn found(letter: char) -> String {
        letter.to_string()
    }

    #[test]
    fn equal_chains_do_not_differ() {
        assert_eq!(compared("abca", "abca"), []);
        assert_eq!(compared("", ""), []);
    }

    #[test]
    fn a_rule_that_went_or_came_is_one_difference() {
        assert_eq!(compared("abc", "ac"), [RuleChange::Gone { rule: 2 }]);
        let found = found('x');
        assert_eq!(
            compared("ab", "axb"),
            [RuleChange::Added { rule: 2, found }]
        );
    }

    #[test]
    fn a_rule_in_anothers_place_is_one_change() {
        let found = found('x');
        assert_eq!(
            compared("abc", "axc"),
            [RuleChange::Changed { rule: 2, found }]
        );
    }

    #[test]
    fn a_rule_that_went_and_one_that_came_elsewhere_are_two() {
        let gone = RuleChange::Gone { rule: 1 };
        let added = RuleChange::Added {
            rule: 3,
            found: found('x'),
        };
        assert_eq!(compared("abc", "bcx"), [gone, added]);
        let added = RuleChange::Added {
            rule: 1,
            found: found('x'),
        };
        assert_eq!(
            compared("abc", "xab"),
            [added, RuleChange::Gone { rule: 3 }]
        );
    }

    #[test]
    fn another_order_is_one_difference() {
        let changes = compared("abcd", "acbd");
        let found = found('c');
        assert_eq!(changes, [RuleChange::Reordered { rule: 2, found }]);
    }

    #[test]
    fn rules_with_other_sources_never_meet() {
        let ours = ["-s 10.1.0.0/16 -j ACCEPT", "-s 10.2.0.0/16 -j ACCEPT"];
        let meets = |rule| !never_meet(rule, ours.into_iter());
        assert!(!meets("-s 10.3.0.0/16 ! -o br0 -j MASQUERADE"));
        assert!(meets("-s 10.0.0.0/8 ! -o br0 -j MASQUERADE"));
        assert!(meets("-s 10.2.0.9/32 -j MASQUERADE"));
        assert!(meets("! -s 10.3.0.0/16 -j MASQUERADE"));
        assert!(meets("-j MASQUERADE"));
    }

    #[test]
    fn a_rule_without_a_source_meets_any() {
        let ours = ["-s 10.1.0.0/16 -j ACCEPT", "-m mark --mark 0x1 -j ACCEPT"];
        assert!(!never_meet(
            "-s 10.3.0.0/16 -j MASQUERADE",
            ours.into_iter()
        ));
    }

    #[test]
    fn repeated_rules_are_counted() {
        assert_eq!(compared("aab", "ab"), [RuleChange::Gone { rule: 2 }]);
        let found = found('a');
        assert_eq!(
            compared("ab", "aab"),
            [RuleChange::Added { rule: 2, found }]
        );
    }
}
