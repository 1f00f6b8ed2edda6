//! Trees that give their answer themselves.
//!
//! A tree that is called by `-j` can only mark what it finds, and rules behind it read the mark. Where all
//! that comes behind is the chain's end, the tree can be gone to instead: what is found leaves our chains
//! from where it is found, and what is not meets the end, which then stands in each of the tree's chains.
//! That spares a packet two changes of its mark, and the rest of the list in which it is found.

use std::collections::HashMap;

use super::forest::{Chains, is_free};
use super::next;
use super::split::{Key, range};
use crate::netfilter::rule::{Rule, Target};
use crate::netfilter::{ChainName, Table};

type Place = (Table, ChainName);

/// How often chains are led to.
type Uses<'c> = HashMap<(Table, &'c ChainName), usize>;

/// What is to change for one chain.
struct Plan {
    owner: Place,
    /// Where the rules that mark begin and end.
    from: usize,
    to: usize,
    /// The chains below them.
    below: Vec<ChainName>,
    /// What takes the mark away and leads on.
    behind: ChainName,
    answer: Target,
    end: Rule,
}

/// Changes all trees that can answer themselves.
pub(super) fn answer(chains: &mut Chains) {
    let uses = uses(chains);
    let plans: Vec<Plan> = chains
        .iter()
        .filter_map(|(place, rules)| plan(chains, &uses, place, rules))
        .collect();
    for plan in &plans {
        carry_out(chains, plan);
    }
    for plan in plans {
        let behind = (plan.owner.0, plan.behind);
        let is_used = |((table, _), rules): (&Place, &Vec<Rule>)| {
            *table == behind.0 && rules.iter().any(|rule| next(rule) == Some(&behind.1))
        };
        if !chains.iter().any(is_used) {
            chains.remove(&behind);
        }
    }
}

fn uses(chains: &Chains) -> Uses<'_> {
    let mut uses = Uses::new();
    for ((table, _), rules) in chains {
        for next in rules.iter().filter_map(next) {
            *uses.entry((*table, next)).or_default() += 1;
        }
    }
    uses
}

/// Returns what to change where a chain ends with rules that mark, one that reads the mark, and one for
/// all that is left.
fn plan(chains: &Chains, uses: &Uses<'_>, owner: &Place, rules: &[Rule]) -> Option<Plan> {
    let [before @ .., reads, end] = rules else {
        return None;
    };
    let Target::Goto(behind) = &reads.target else {
        return None;
    };
    let answer = answer_behind(chains.get(&(owner.0, behind.clone()))?)?;
    if !asks_mark_alone(reads) || !asks_nothing(end) {
        return None;
    }
    let to = before.len();
    let of_tree = |rule: &Rule| next(rule).is_none_or(ChainName::is_of_tree);
    let marks = |rule: &&Rule| is_free(rule) && leads_or_marks(rule) && of_tree(rule);
    let from = to - before.iter().rev().take_while(marks).count();
    let list = before.get(from..)?;
    let is_tree = list.iter().any(|rule| next(rule).is_some());
    let below = below(chains, uses, owner.0, list).filter(|_| is_tree)?;
    Some(Plan {
        owner: owner.clone(),
        from,
        to,
        below,
        behind: behind.clone(),
        answer,
        end: end.clone(),
    })
}

/// Returns what a chain does that takes the mark away and leads on.
fn answer_behind(rules: &[Rule]) -> Option<Target> {
    let clears = |rule: &Rule| asks_nothing(rule) && rule.target == Target::ClearMark;
    match rules {
        [clear] if clears(clear) => Some(Target::Return),
        [clear, goto] if clears(clear) && asks_nothing(goto) => Some(goto.target.clone()),
        _ => None,
    }
}

fn asks_nothing(rule: &Rule) -> bool {
    let bare = Rule {
        target: rule.target.clone(),
        origin: rule.origin.clone(),
        ..Rule::default()
    };
    *rule == bare
}

/// Returns true for a rule that every packet with the mark meets, and no other.
pub(super) fn asks_mark_alone(rule: &Rule) -> bool {
    let bare = Rule {
        mark: false,
        ..rule.clone()
    };
    rule.mark && asks_nothing(&bare)
}

fn leads_or_marks(rule: &Rule) -> bool {
    rule.target == Target::SetMark || next(rule).is_some()
}

/// Returns the chains below a list, if they are a tree that does nothing but mark, and if a packet that
/// one of its calls does not mark could not have been marked by a rule after it.
fn below(chains: &Chains, uses: &Uses<'_>, table: Table, list: &[Rule]) -> Option<Vec<ChainName>> {
    let mut names = Vec::new();
    let mut open = vec![list];
    while let Some(list) = open.pop() {
        if !list
            .iter()
            .all(|rule| is_free(rule) && leads_or_marks(rule))
            || !calls_are_apart(list)
        {
            return None;
        }
        for next in list.iter().filter_map(next) {
            if uses.get(&(table, next)) != Some(&1) {
                return None;
            }
            open.push(chains.get(&(table, next.clone()))?);
            names.push(next.clone());
        }
    }
    Some(names)
}

fn calls_are_apart(list: &[Rule]) -> bool {
    list.iter().enumerate().all(|(at, rule)| {
        let after = list.get(at + 1..).unwrap_or_default();
        !matches!(rule.target, Target::Jump(_)) || after.iter().all(|other| are_apart(rule, other))
    })
}

/// Returns true if the ports that two rules ask show that no packet meets both.
fn are_apart(one: &Rule, other: &Rule) -> bool {
    [Key::FirstPort, Key::Port].into_iter().any(|key| {
        let ranges = range(key, one).zip(range(key, other));
        ranges.is_some_and(|(one, other)| one.1 < other.0 || other.1 < one.0)
    })
}

fn carry_out(chains: &mut Chains, plan: &Plan) {
    let (table, _) = plan.owner;
    for name in &plan.below {
        if let Some(rules) = chains.get_mut(&(table, name.clone())) {
            for rule in rules.iter_mut() {
                direct(rule, &plan.answer);
            }
            rules.push(plan.end.clone());
        }
    }
    let Some(rules) = chains.get_mut(&plan.owner) else {
        return;
    };
    rules.remove(plan.to);
    let list = rules.get_mut(plan.from..plan.to).unwrap_or_default();
    for rule in list.iter_mut() {
        direct(rule, &plan.answer);
    }
    if list.last().is_some_and(asks_nothing) {
        // Nothing comes back from where it leads.
        rules.truncate(plan.to);
    }
    // In tables where nobody else has cleared the mark, a rule before the list did.
    let before = plan.from.checked_sub(1);
    let clears = |rule: &Rule| asks_nothing(rule) && rule.target == Target::ClearMark;
    if let Some(at) = before.filter(|at| rules.get(*at).is_some_and(clears)) {
        rules.remove(at);
    }
}

/// Makes a rule of a tree answer instead of mark, and go instead of call.
fn direct(rule: &mut Rule, answer: &Target) {
    match &rule.target {
        Target::SetMark => rule.target = answer.clone(),
        Target::Jump(chain) => rule.target = Target::Goto(chain.clone()),
        _ => {}
    }
}
