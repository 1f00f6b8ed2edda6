//! What a chain does to every packet: its rules folded, jumps by what the other chain does.

use std::collections::BTreeMap;

use thiserror::Error;

use super::conditions::Place;
use super::outcome::{Bit, Outcome, Verdict};
use super::runs::{Run, is_done_once, runs};
use super::space::{Space, Unknown};
use crate::diagram::{Level, Node};
use crate::netfilter::dump::{Action, ChainPolicy, DumpRule, DumpTable};

/// Jumps that may nest. The kernel refuses more than 16 levels of rules that nft loads, and circles
/// altogether.
const MAX_DEPTH: usize = 64;

/// A rule that leads deeper than any kernel follows, or in a circle.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: the jump to {chain} leads in a circle or deeper than {MAX_DEPTH} chains")]
pub struct TooDeep {
    /// Of the dump, from 1.
    pub line: usize,
    pub chain: String,
}

/// The chains of one table, each worked out when it is first asked for.
#[derive(Debug)]
pub struct Chains<'d> {
    name: &'d str,
    table: &'d DumpTable,
    done: BTreeMap<&'d str, Node>,
}

/// What a part of a chain does, and whether any of it changes what later rules see.
#[derive(Clone, Copy)]
struct Part {
    node: Node,
    changes: bool,
    /// The one thing that it does, where that may be done twice and no condition asks for it.
    does: Option<Node>,
}

impl Part {
    /// Tells whether a packet that meets the other part, too, is none the worse for it.
    fn is_joined_by(&self, next: &Part) -> bool {
        let alike = self.does.is_some() && self.does == next.does;
        alike || !self.changes && !next.changes
    }
}

impl<'d> Chains<'d> {
    pub fn new(name: &'d str, table: &'d DumpTable) -> Self {
        Chains {
            name,
            table,
            done: BTreeMap::new(),
        }
    }

    /// Returns the outcomes of a chain of the kernel; what no rule decides has the chain's policy. A
    /// chain that is not there accepts.
    pub fn hook(&mut self, space: &mut Space, chain: &str) -> Result<Node, TooDeep> {
        let verdict = match self.table.chains.get(chain).and_then(|chain| chain.policy) {
            Some(ChainPolicy::Drop) => Verdict::Drop,
            _ => Verdict::Accept,
        };
        let node = self.chain(space, chain)?;
        Ok(space.map(node, &|outcome| match outcome.verdict {
            Verdict::Continue => Outcome {
                verdict: verdict.clone(),
                ..outcome.clone()
            },
            _ => outcome.clone(),
        }))
    }

    /// Returns the outcomes of a chain for who jumps to it: what comes back continues.
    pub fn chain(&mut self, space: &mut Space, chain: &str) -> Result<Node, TooDeep> {
        let Some((chain, _)) = self.table.chains.get_key_value(chain) else {
            return Ok(Node::NO);
        };
        for name in self.order(chain)? {
            if !self.done.contains_key(name) {
                let node = self.one(space, name);
                self.done.insert(name, node);
            }
        }
        Ok(self.done.get(chain.as_str()).copied().unwrap_or(Node::NO))
    }

    /// Returns the chains that a chain leads to and itself, each behind those that it leads to.
    fn order(&self, chain: &'d str) -> Result<Vec<&'d str>, TooDeep> {
        let mut order = Vec::new();
        // Chains that are being looked at, each with those that it still has to look at.
        let mut open = vec![(chain, self.leads(chain))];
        let mut heights: BTreeMap<&str, usize> = BTreeMap::new();
        while let Some((chain, rest)) = open.last_mut() {
            let chain = *chain;
            if let Some((next, line)) = rest.pop() {
                let too_deep = || TooDeep {
                    line,
                    chain: next.to_owned(),
                };
                let height = heights.get(next).copied().unwrap_or(0);
                if open.iter().any(|(name, _)| *name == next) || open.len() + height > MAX_DEPTH {
                    return Err(too_deep());
                }
                if height == 0 {
                    open.push((next, self.leads(next)));
                }
                continue;
            }
            open.pop();
            let below = self.leads(chain).into_iter();
            let below = below
                .filter_map(|(name, _)| heights.get(name).copied())
                .max();
            heights.insert(chain, below.unwrap_or(0) + 1);
            order.push(chain);
        }
        Ok(order)
    }

    /// Returns the chains that a chain leads to itself, each once, with the line that does.
    fn leads(&self, chain: &str) -> Vec<(&'d str, usize)> {
        let rules = self.rules(chain);
        let lead = |rule: &'d DumpRule| match &rule.action {
            Action::Jump(next) | Action::Goto(next) => Some((next.as_str(), rule.line)),
            _ => None,
        };
        let found: BTreeMap<&str, usize> = rules.filter_map(lead).collect();
        found.into_iter().collect()
    }

    fn rules(&self, chain: &str) -> impl Iterator<Item = &'d DumpRule> + use<'d> {
        let found = self.table.chains.get(chain).into_iter();
        found.flat_map(|chain| &chain.rules)
    }

    fn one(&self, space: &mut Space, chain: &str) -> Node {
        // Whether a packet would be logged makes no difference to it.
        let rules = self
            .rules(chain)
            .filter(|rule| rule.action != Action::Continue);
        let place = Place {
            table: self.name,
            chain,
        };
        let runs = runs(rules);
        if let Some(node) = self.by_address(space, &runs, place) {
            return node;
        }
        let mut before = BTreeMap::new();
        let mut parts = Vec::new();
        for Run { rule, conditions } in runs {
            let does = self.action(space, &rule.action, place, &mut before);
            let node = space.conditions(&conditions, place, &mut before, does);
            let answers = space.diagrams.answers(does);
            let changes = answers.iter().any(|it| space.outcome_of(*it).is_change());
            let does = is_done_once(&rule.action, &conditions).then_some(does);
            parts.push(Part {
                node,
                changes,
                does,
            });
        }
        let parts = joined(space, &parts);
        let node = fold(space, &parts).node;
        space.map(node, &|outcome| {
            with(outcome, &Verdict::Return, &Verdict::Continue)
        })
    }

    /// Returns what a rule does to all packets.
    pub(super) fn action(
        &self,
        space: &mut Space,
        action: &Action,
        place: Place<'_>,
        before: &mut BTreeMap<String, usize>,
    ) -> Node {
        let verdict = match action {
            Action::Jump(next) => return self.known(next),
            Action::Goto(next) => {
                let node = self.known(next);
                return space.map(node, &|outcome| {
                    with(outcome, &Verdict::Continue, &Verdict::Return)
                });
            }
            Action::Opaque(target) => return opaque(space, target, place, before),
            Action::Accept => Verdict::Accept,
            Action::Drop => Verdict::Drop,
            Action::Reject(answer) => Verdict::Reject(answer.clone()),
            Action::Return => Verdict::Return,
            Action::Dnat(to) => Verdict::Dnat(to.clone()),
            Action::Snat(to) => Verdict::Snat(to.clone()),
            Action::Masquerade => Verdict::Masquerade,
            Action::Redirect(ports) => Verdict::Redirect(*ports),
            change => return changing(space, change),
        };
        space.outcome(&Outcome::of(verdict))
    }

    /// A chain that is not there ends nothing; reading refuses such rules.
    pub(super) fn known(&self, chain: &str) -> Node {
        self.done.get(chain).copied().unwrap_or(Node::NO)
    }
}

fn with(outcome: &Outcome, from: &Verdict, to: &Verdict) -> Outcome {
    if outcome.verdict == *from {
        Outcome {
            verdict: to.clone(),
            ..outcome.clone()
        }
    } else {
        outcome.clone()
    }
}

/// An unknown target may end the packet or let it go on.
fn opaque(
    space: &mut Space,
    target: &str,
    place: Place<'_>,
    before: &mut BTreeMap<String, usize>,
) -> Node {
    let text = format!("-j {target}");
    let count = before.entry(text.clone()).or_default();
    let at = (place.table.to_owned(), place.chain.to_owned(), *count);
    *count += 1;
    let level = space.unknown(Unknown {
        text,
        place: Some(at),
    });
    let ends = space.outcome(&Outcome::of(Verdict::Unknown(target.to_owned())));
    let bit = space.diagrams.bit(level);
    space.diagrams.guard(bit, ends)
}

/// Returns what a rule changes, where it does: connections' marks need a connection, and what has one stays
/// tracked; `connmark_tg` of the kernel's `xt_connmark.c` and `notrack_tg` of `xt_CT.c`.
fn changing(space: &mut Space, action: &Action) -> Node {
    let outcome = changed(space, action);
    let does = space.outcome(&outcome);
    let tracked = space.tracked();
    match action {
        Action::NoTrack => space.diagrams.except(does, tracked),
        Action::ConnMark { .. } | Action::SaveMark { .. } | Action::RestoreMark { .. } => {
            space.diagrams.guard(tracked, does)
        }
        _ => does,
    }
}

/// Returns what a rule changes of the packet's marks and of its tracking.
fn changed(space: &mut Space, action: &Action) -> Outcome {
    let mut outcome = Outcome::default();
    match action {
        Action::NoTrack => outcome.untracked = true,
        Action::Mark { flip, clear } => set_bits(space, false, (*flip, *clear), &mut outcome),
        Action::ConnMark { flip, clear } => set_bits(space, true, (*flip, *clear), &mut outcome),
        Action::SaveMark { from, to } => copy_bits(space, false, (*from, *to), &mut outcome),
        Action::RestoreMark { from, to } => copy_bits(space, true, (*from, *to), &mut outcome),
        _ => {}
    }
    outcome
}

/// `(mark & !clear) ^ flip`, bit by bit.
fn set_bits(space: &Space, connection: bool, (flip, clear): (u32, u32), outcome: &mut Outcome) {
    for bit in 0..32 {
        let level = space.mark(connection, bit);
        let (flip, clear) = (flip >> bit & 1 == 1, clear >> bit & 1 == 1);
        let now = match (clear, flip) {
            (true, value) => Bit::Is(value),
            (false, true) => Bit::Of { level, not: true },
            (false, false) => continue,
        };
        outcome.bits.insert(level, now);
    }
}

/// `(mark & !to) ^ (other & from)`, bit by bit; a bit that is both kept and flipped by another one is
/// taken for one that may be anything.
fn copy_bits(space: &mut Space, restore: bool, (from, to): (u32, u32), outcome: &mut Outcome) {
    for bit in 0..32 {
        let (target, source) = (space.mark(!restore, bit), space.mark(restore, bit));
        let now = match (to >> bit & 1 == 1, from >> bit & 1 == 1) {
            (true, true) => Bit::Of {
                level: source,
                not: false,
            },
            (true, false) => Bit::Is(false),
            (false, true) => Bit::Of {
                level: mixed(space, restore, bit),
                not: false,
            },
            (false, false) => continue,
        };
        outcome.bits.insert(target, now);
    }
}

fn mixed(space: &mut Space, restore: bool, bit: u32) -> Level {
    let word = if restore {
        "--restore-mark"
    } else {
        "--save-mark"
    };
    space.unknown(Unknown {
        text: format!("bit {bit} of {word} under another mask"),
        place: None,
    })
}

/// Joins neighbours that do not change what each other sees.
fn joined(space: &mut Space, parts: &[Part]) -> Vec<Part> {
    let groups = parts.chunk_by(Part::is_joined_by);
    let join = |group: &[Part]| {
        let nodes: Vec<Node> = group.iter().map(|part| part.node).collect();
        let first = group.first()?;
        Some(Part {
            node: space.diagrams.first_of(&nodes),
            ..*first
        })
    };
    groups.filter_map(join).collect()
}

/// Puts the parts of a chain behind each other, in n log n time.
fn fold(space: &mut Space, parts: &[Part]) -> Part {
    match parts {
        [] => Part {
            node: Node::NO,
            changes: false,
            does: None,
        },
        [only] => *only,
        _ => {
            let (left, right) = parts.split_at(parts.len() / 2);
            let (left, right) = (fold(space, left), fold(space, right));
            Part {
                node: then(space, left, right.node),
                changes: left.changes || right.changes,
                does: None,
            }
        }
    }
}

/// Returns what comes of a packet that meets one part, and where that lets it go on, the next.
fn then(space: &mut Space, first: Part, next: Node) -> Node {
    if !first.changes {
        return space.diagrams.or_else(first.node, next);
    }
    let answers = space.diagrams.answers(first.node);
    let mut behind: BTreeMap<u32, Node> = BTreeMap::from([(0, next)]);
    for answer in answers {
        let outcome = space.outcome_of(answer);
        if outcome.is_change() {
            let seen = space.seen(next, &outcome);
            behind.insert(answer, space.map(seen, &|next| outcome.then(next)));
        }
    }
    space.diagrams.expand_some(first.node, &behind)
}
