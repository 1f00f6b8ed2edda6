//! What rules mean in the policy's words, as long as they are those that were compiled.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::artifact::{ChainOrigins, OriginEntry, Origins, sha256};
use crate::netfilter::dump::{Action, Dump, DumpChain, DumpRule};
use crate::netfilter::trace::{Event, Machine, Step, Trace};
use crate::netfilter::{Family, Table};

/// A line of a policy, and what a rule of it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    /// `file:line`.
    pub source: String,
    /// Only a bundle knows it, a rule's comment does not.
    pub says: Option<String>,
}

/// A machine, and what is known of its rules.
#[derive(Debug)]
pub struct Told<'m> {
    pub(super) machine: &'m Machine,
    /// By table, chain and number.
    rules: BTreeMap<(&'static str, &'m str, usize), &'m OriginEntry>,
}

impl<'m> Told<'m> {
    /// Takes the words for chains that are still as they were compiled.
    pub fn new(machine: &'m Machine, origins: Option<&'m Origins>) -> Self {
        let rules = origins.map(|origins| entries(origins, &machine.rules, machine.family));
        Told {
            machine,
            rules: rules.unwrap_or_default(),
        }
    }

    pub(super) fn rule(&self, step: &Step) -> Option<&'m DumpRule> {
        let Event::Rule(number) = step.event else {
            return None;
        };
        let chain = self.machine.rules.chain(step.table, &step.chain)?;
        chain.rules.get(number.checked_sub(1)?)
    }

    /// Returns what a rule means; its comment tells no more than the line.
    pub(super) fn meaning(&self, step: &Step) -> Option<Meaning> {
        let Event::Rule(number) = step.event else {
            return None;
        };
        let known = self.rules.get(&(step.table, step.chain.as_str(), number));
        if let Some(entry) = known {
            return Some(Meaning {
                source: entry.source.clone(),
                says: Some(entry.says.clone()),
            });
        }
        let comment = comment(&self.rule(step)?.text)?;
        Some(Meaning {
            source: comment.to_owned(),
            says: None,
        })
    }

    /// Returns what the rule means that a way ended at, or the last of those that led there.
    pub(super) fn reason(&self, trace: &Trace) -> Option<Meaning> {
        let mut before = trace.steps.iter().rev();
        let mut step = before.next()?;
        loop {
            if let Some(found) = self.meaning(step) {
                return Some(found);
            }
            let same = |other: &&Step| other.event != Event::Hook;
            let mut here = before.by_ref().take_while(same);
            step = here.find(|other| self.leads(other, &step.chain))?;
        }
    }

    /// Returns what the rule of ours means that let a packet pass: the last one that did something, of the
    /// hooks that decide. In `raw` the packet was not yet known, and behind POSTROUTING's `nat` it is only
    /// its source that changes.
    pub(super) fn grant(&self, trace: &Trace) -> Option<Meaning> {
        let end = trace.steps.iter().rposition(|step| step.table != "nat");
        let deciding = trace.steps.get(..=end?)?.iter().rev();
        let does = |step: &&Step| {
            let rule = self.rule(step);
            is_ours(step)
                && step.table != "raw"
                && rule.is_some_and(|it| it.action != Action::Continue)
        };
        deciding.filter(does).find_map(|step| self.meaning(step))
    }

    fn leads(&self, step: &Step, chain: &str) -> bool {
        let action = self.rule(step).map(|rule| &rule.action);
        matches!(action, Some(Action::Jump(to) | Action::Goto(to)) if to == chain)
    }
}

/// Comments of others name no line of a policy.
pub(super) fn is_ours(step: &Step) -> bool {
    step.chain.starts_with("TIDE-")
}

fn entries<'m>(
    origins: &'m Origins,
    rules: &Dump,
    family: Family,
) -> BTreeMap<(&'static str, &'m str, usize), &'m OriginEntry> {
    let mut found = BTreeMap::new();
    for (table, name, chain) in origins.chains(family) {
        if !is_same(table, name, chain, rules) {
            continue;
        }
        for number in 1..=chain.rules.len() {
            if let Some(entry) = origins.rule(family, table, name, number) {
                found.insert((table.name(), name, number), entry);
            }
        }
    }
    found
}

fn is_same(table: Table, name: &str, wanted: &ChainOrigins, rules: &Dump) -> bool {
    let text = rules
        .chain(table.name(), name)
        .map(|chain| saved(name, chain));
    text.is_some_and(|text| sha256(text.as_bytes()) == wanted.sha256)
}

/// Writes a chain's rules as iptables-save does.
fn saved(name: &str, chain: &DumpChain) -> String {
    let mut text = String::new();
    for rule in &chain.rules {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "-A {name} {}", rule.text);
    }
    text
}

/// Returns what a rule's comment says; ours name the line of the policy.
fn comment(rule: &str) -> Option<&str> {
    let (_, behind) = rule.split_once("--comment \"")?;
    behind.split_once('"').map(|(comment, _)| comment)
}
