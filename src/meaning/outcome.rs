//! What becomes of a packet in a chain, and what the chain changed of it.

use std::collections::{BTreeMap, HashMap};

use crate::diagram::{Instead, Level};
use crate::net::PortRange;
use crate::netfilter::dump::Translation;

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// To the next rule, and behind a chain's last rule back to its caller.
    #[default]
    Continue,
    Return,
    Accept,
    Drop,
    /// With the name of the answer.
    Reject(String),
    Dnat(Translation),
    Snat(Translation),
    Masquerade,
    Redirect(Option<PortRange>),
    /// At a target that nobody here knows.
    Unknown(String),
}

/// What a bit of a mark is afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bit {
    Is(bool),
    /// What another bit was, or its opposite.
    Of {
        level: Level,
        not: bool,
    },
}

/// A verdict, and the bits of the marks that are other than they were.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outcome {
    pub verdict: Verdict,
    pub bits: BTreeMap<Level, Bit>,
    /// The packet's connection is not tracked from here on.
    pub untracked: bool,
}

impl Outcome {
    pub fn of(verdict: Verdict) -> Self {
        Outcome {
            verdict,
            ..Outcome::default()
        }
    }

    /// Returns true where rules that come behind see another packet.
    pub fn is_change(&self) -> bool {
        self.verdict == Verdict::Continue && (self.untracked || !self.bits.is_empty())
    }

    /// Returns what later tests of marks have to ask instead.
    pub fn instead(&self) -> Vec<(Level, Instead)> {
        let instead = |(level, bit): (&Level, &Bit)| {
            let what = match bit {
                Bit::Is(value) => Instead::Value(u128::from(*value)),
                Bit::Of { level, not } => Instead::Bit {
                    level: *level,
                    not: *not,
                },
            };
            (*level, what)
        };
        self.bits.iter().map(instead).collect()
    }

    /// Returns what both do together, `self` first.
    #[must_use]
    pub fn then(&self, next: &Outcome) -> Outcome {
        let mut bits = self.bits.clone();
        for (level, bit) in &next.bits {
            let now = match bit {
                Bit::Is(value) => Bit::Is(*value),
                Bit::Of { level, not } => self.bit(*level, *not),
            };
            bits.insert(*level, now);
        }
        bits.retain(|level, bit| *bit != same(*level));
        Outcome {
            verdict: next.verdict.clone(),
            bits,
            untracked: self.untracked || next.untracked,
        }
    }

    fn bit(&self, level: Level, not: bool) -> Bit {
        match self.bits.get(&level) {
            None => Bit::Of { level, not },
            Some(Bit::Is(value)) => Bit::Is(*value ^ not),
            Some(Bit::Of { level, not: before }) => Bit::Of {
                level: *level,
                not: before ^ not,
            },
        }
    }
}

fn same(level: Level) -> Bit {
    Bit::Of { level, not: false }
}

/// Outcomes by number. The number 0 is that of a packet which goes on as it is.
#[derive(Debug)]
pub(super) struct Outcomes {
    all: Vec<Outcome>,
    numbers: HashMap<Outcome, u32>,
}

impl Default for Outcomes {
    fn default() -> Self {
        let first = Outcome::default();
        Outcomes {
            numbers: HashMap::from([(first.clone(), 0)]),
            all: vec![first],
        }
    }
}

impl Outcomes {
    pub(super) fn number(&mut self, outcome: &Outcome) -> u32 {
        if let Some(known) = self.numbers.get(outcome) {
            return *known;
        }
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(outcome.clone());
        self.numbers.insert(outcome.clone(), number);
        number
    }

    pub(super) fn get(&self, number: u32) -> Outcome {
        self.all.get(number as usize).cloned().unwrap_or_default()
    }
}
