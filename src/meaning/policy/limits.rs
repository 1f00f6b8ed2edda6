//! Limits of exposures: questions that only the kernel's counters can answer.

use super::Says;
use crate::diagram::{Level, Node};
use crate::meaning::space::Unknown;
use crate::net::Family;
use crate::netfilter::ChainName;
use crate::policy::ir::{ContainerId, Exposure, Rate, RateUnit};

/// An exposure with limits.
pub(super) struct Limited {
    pub opens: Node,
    /// A limit is passed where the engine decides afterwards; its published ports alone are left to it.
    pub over_left: Option<Node>,
    /// A limit is passed where the policy's word is enough.
    pub over_granted: Node,
}

impl Says<'_> {
    /// Returns yes where more connections come than an exposure may have.
    pub(super) fn over(
        &mut self,
        (table, part): (&str, &str),
        container: ContainerId,
        exposure: &Exposure,
    ) -> Node {
        let name = &self.container(container).name;
        let number = statement(self.container(container).exposures.iter(), exposure);
        let chain = ChainName::of_network(name, &format!("{part}{number}")).to_string();
        let limits = exposure.limits;
        let whole = match self.family() {
            Family::V4 => 32,
            Family::V6 => 64,
        };
        let mut over = Vec::new();
        if let Some(limit) = limits.rate {
            let wanted = Wanted::Rate {
                period: period(limit.rate),
                burst: limit.burst,
                sources: limit.per_source.then_some(whole),
            };
            over.push(self.counter(table, &chain, &wanted));
        }
        if let Some(limit) = limits.connections {
            let wanted = Wanted::Connections {
                count: limit.count,
                sources: if limit.per_source { whole } else { 0 },
            };
            over.push(self.counter(table, &chain, &wanted));
        }
        let bits: Vec<Node> = over
            .into_iter()
            .map(|level| self.space.diagrams.bit(level))
            .collect();
        self.or(&bits)
    }

    /// Finds the counter of the exposure's chain that counts what is wanted; where there is none, no
    /// rule can agree with the one that is made.
    fn counter(&mut self, table: &str, chain: &str, wanted: &Wanted) -> Level {
        let whole = self.family();
        let found = {
            let mut all = self.space.unknown_of(table, chain);
            all.find(|(what, _)| wanted.is(&what.text, whole))
                .map(|(_, level)| level)
        };
        match found {
            Some(level) => level,
            None => self.space.unknown(Unknown {
                text: format!("{wanted:?} in {chain}"),
                place: None,
            }),
        }
    }
}

/// Returns the place of an exposure's statement among those of its container, from 1.
fn statement<'e>(all: impl Iterator<Item = &'e Exposure>, exposure: &Exposure) -> usize {
    let mut spans: Vec<_> = all.map(|it| it.span).collect();
    spans.dedup();
    let at = spans.iter().position(|span| *span == exposure.span);
    at.map_or(0, |at| at + 1)
}

/// Returns the millionths of a second between two events of a rate.
fn period(rate: Rate) -> u64 {
    second_of(rate.unit) * 1_000_000 / u64::from(rate.count.max(1))
}

fn second_of(unit: RateUnit) -> u64 {
    match unit {
        RateUnit::Day => 86_400,
        RateUnit::Hour => 3_600,
        RateUnit::Minute => 60,
        RateUnit::Second => 1,
    }
}

/// What the kernel is to count.
#[derive(Debug)]
enum Wanted {
    Rate {
        /// Millionths of a second.
        period: u64,
        burst: u32,
        /// Length of the prefix that is one source.
        sources: Option<u8>,
    },
    Connections {
        count: u32,
        sources: u8,
    },
}

impl Wanted {
    /// Tells whether a match counts this; hashlimit and connlimit in iptables-extensions(8).
    fn is(&self, text: &str, family: Family) -> bool {
        let words: Vec<&str> = text.split(' ').collect();
        let value = |option: &str| {
            let at = words.iter().position(|word| *word == option)?;
            words.get(at + 1).copied()
        };
        let all = match family {
            Family::V4 => 32,
            Family::V6 => 128,
        };
        match self {
            Wanted::Rate {
                period,
                burst,
                sources,
            } => {
                let mask = value("--hashlimit-srcmask").map_or(Some(all), |it| it.parse().ok());
                let by_source = value("--hashlimit-mode").is_some_and(|mode| mode == "srcip");
                let counted = if by_source { mask } else { None };
                text.starts_with("-m hashlimit ")
                    && value("--hashlimit-burst") == Some(&burst.to_string())
                    && value("--hashlimit-above").is_some_and(|rate| spells(rate, *period))
                    && counted == *sources
            }
            Wanted::Connections { count, sources } => {
                text.starts_with("-m connlimit ")
                    && value("--connlimit-above") == Some(&count.to_string())
                    && value("--connlimit-mask") == Some(&sources.to_string())
                    && words.contains(&"--connlimit-saddr")
            }
        }
    }
}

/// Tells whether a text such as `50/sec` stands for a period: iptables prints whole events in one of
/// four units, and drops what is left of the division.
fn spells(text: &str, period: u64) -> bool {
    let Some((count, unit)) = text.split_once('/') else {
        return false;
    };
    let unit = match unit {
        "day" => RateUnit::Day,
        "hour" => RateUnit::Hour,
        "min" => RateUnit::Minute,
        "sec" => RateUnit::Second,
        _ => return false,
    };
    let events = second_of(unit) * 1_000_000 / period.max(1);
    count.parse() == Ok(events)
}
