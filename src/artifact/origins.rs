//! `source-map.json`: for each rule of a bundle the line of the policy that it comes from.
//!
//! A policy may have rules by the hundred thousand, and most readers of a bundle ask for none of
//! their lines. So the map is a file of its own, in which each line and each word of a policy stands
//! once and rules are numbers.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::lines::{array, block, json, named};
use crate::netfilter::{Family, Table};

/// A line of a policy, and what a rule of it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(String, String)", into = "(String, String)")]
pub struct OriginEntry {
    /// `file:line`.
    pub source: String,
    /// What the rule says in the policy's words: `office may reach db : 9187/tcp`.
    pub says: String,
}

impl From<(String, String)> for OriginEntry {
    fn from((source, says): (String, String)) -> Self {
        OriginEntry { source, says }
    }
}

impl From<OriginEntry> for (String, String) {
    fn from(entry: OriginEntry) -> Self {
        (entry.source, entry.says)
    }
}

/// One chain of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainOrigins {
    /// SHA-256 of the chain's rules as iptables-save prints them, one a line.
    pub sha256: String,
    /// For each rule its place among [`Origins::lines`]; none for one that no line has asked for.
    pub rules: Vec<Option<u32>>,
}

type Chains = BTreeMap<Family, BTreeMap<Table, BTreeMap<String, ChainOrigins>>>;

/// Where the rules of a bundle come from and what they are for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origins {
    lines: Vec<OriginEntry>,
    chains: Chains,
}

impl Origins {
    /// Returns the map of chains whose rules are places among `lines`.
    pub fn new(lines: Vec<OriginEntry>) -> Self {
        Origins {
            lines,
            chains: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, family: Family, table: Table, chain: &str, origins: ChainOrigins) {
        let tables = self.chains.entry(family).or_default();
        let chains = tables.entry(table).or_default();
        chains.insert(chain.to_owned(), origins);
    }

    /// Reads the map; `Err` says why it cannot be one.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let origins: Origins = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let known = |place: &u32| usize::try_from(*place).is_ok_and(|at| at < origins.lines.len());
        let strange = |(name, chain): (&String, &ChainOrigins)| {
            let all = chain.rules.iter().flatten();
            all.copied().find(|place| !known(place)).map(|place| {
                let name = name.escape_debug();
                format!("a rule of {name} comes from line {place}, which is not there")
            })
        };
        let mut chains = origins.chains.values().flat_map(BTreeMap::values).flatten();
        match chains.find_map(strange) {
            Some(why) => Err(why),
            None => Ok(origins),
        }
    }

    /// Writes the map with a line for each line of the policy and for each chain.
    pub(super) fn text(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(|it| (&it.source, &it.says)).collect();
        let families = self.chains.iter().map(|(family, tables)| {
            let tables = tables.iter().map(|(table, chains)| {
                let chains = chains.iter().map(|(name, it)| named(name, &chain(it)));
                named(table.name(), &block(['{', '}'], chains))
            });
            named(word(*family), &block(['{', '}'], tables))
        });
        let parts = [
            named("lines", &array(&lines)),
            named("chains", &block(['{', '}'], families)),
        ];
        block(['{', '}'], parts.into_iter()) + "\n"
    }

    /// Returns where the rule of a number, from 1, comes from.
    pub fn rule(
        &self,
        family: Family,
        table: Table,
        chain: &str,
        number: usize,
    ) -> Option<&OriginEntry> {
        let at = number.checked_sub(1)?;
        self.line((*self.chain(family, table, chain)?.rules.get(at)?)?)
    }

    /// Returns where the rules of a chain come from, in their order.
    pub fn of_chain(
        &self,
        family: Family,
        table: Table,
        chain: &str,
    ) -> impl Iterator<Item = &OriginEntry> {
        let rules = self.chain(family, table, chain).map(|it| &it.rules);
        let places = rules.into_iter().flatten().flatten();
        places.filter_map(|place| self.line(*place))
    }

    /// Returns all chains of a family.
    pub fn chains(&self, family: Family) -> impl Iterator<Item = (Table, &str, &ChainOrigins)> {
        let tables = self.chains.get(&family).into_iter().flatten();
        tables.flat_map(|(table, chains)| {
            let chains = chains.iter();
            chains.map(|(name, chain)| (*table, name.as_str(), chain))
        })
    }

    fn chain(&self, family: Family, table: Table, chain: &str) -> Option<&ChainOrigins> {
        self.chains.get(&family)?.get(&table)?.get(chain)
    }

    fn line(&self, place: u32) -> Option<&OriginEntry> {
        self.lines.get(usize::try_from(place).ok()?)
    }
}

fn word(family: Family) -> &'static str {
    match family {
        Family::V4 => "v4",
        Family::V6 => "v6",
    }
}

fn chain(chain: &ChainOrigins) -> String {
    let mut text = format!("{{\"sha256\": {}, \"rules\": [", json(&chain.sha256));
    for (rule, at) in chain.rules.iter().zip(0..) {
        text.push_str(if at == 0 { "" } else { "," });
        // Writing to a String cannot fail.
        let _ = match rule {
            Some(place) => write!(text, "{place}"),
            None => write!(text, "null"),
        };
    }
    text + "]}"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins() -> Origins {
        let entry = |source: &str, says: &str| OriginEntry {
            source: source.to_owned(),
            says: says.to_owned(),
        };
        let lines = vec![
            entry("a.tide:1", "x may reach y"),
            entry("a.tide:2", "\"z\""),
        ];
        let mut origins = Origins::new(lines);
        let chain = |rules: &[Option<u32>]| ChainOrigins {
            sha256: "00".to_owned(),
            rules: rules.to_vec(),
        };
        origins.add(
            Family::V6,
            Table::Filter,
            "TIDE-IN",
            chain(&[Some(1), None, Some(0)]),
        );
        origins.add(Family::V4, Table::Mangle, "TIDE-GATE", chain(&[]));
        origins
    }

    #[test]
    fn what_is_written_is_read() {
        let text = origins().text();
        insta::assert_snapshot!(text, @r#"
        {
        "lines": [
        ["a.tide:1","x may reach y"],
        ["a.tide:2","\"z\""]
        ],
        "chains": {
        "v4": {
        "mangle": {
        "TIDE-GATE": {"sha256": "00", "rules": []}
        }
        },
        "v6": {
        "filter": {
        "TIDE-IN": {"sha256": "00", "rules": [1,null,0]}
        }
        }
        }
        }
        "#);
        assert_eq!(Origins::read(&text), Ok(origins()));
        assert_eq!(
            Origins::read(&Origins::default().text()),
            Ok(Origins::default())
        );
        let read = Origins::read(&text).unwrap();
        let source = |number| {
            let found = read.rule(Family::V6, Table::Filter, "TIDE-IN", number);
            found.map(|it| it.source.as_str())
        };
        let all = [0, 1, 2, 3, 4].map(source);
        assert_eq!(all, [None, Some("a.tide:2"), None, Some("a.tide:1"), None]);
    }

    #[test]
    fn what_is_no_map_is_refused() {
        let text = origins().text().replace("[1,null,0]", "[1,null,2]");
        let why = Origins::read(&text).unwrap_err();
        assert_eq!(
            why,
            "a rule of TIDE-IN comes from line 2, which is not there"
        );
        assert!(Origins::read("").is_err());
        assert!(Origins::read("{}").is_err());
        assert!(Origins::read("[1]").is_err());
    }
}
