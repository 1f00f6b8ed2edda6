//! Reads what `nft -j list ruleset` and `nft -j list table` print; libnftables-json(5).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Family;

/// Chains that iptables has in its tables from the beginning.
const BUILT_IN: [&str; 5] = ["FORWARD", "INPUT", "OUTPUT", "POSTROUTING", "PREROUTING"];
/// The tables of iptables-nft.
const OF_IPTABLES: [&str; 5] = ["filter", "mangle", "nat", "raw", "security"];

/// Returns the objects of a kind: tables, chains, rules.
pub fn objects<'v>(ruleset: &'v Value, kind: &'static str) -> impl Iterator<Item = &'v Value> {
    let list = ruleset.get("nftables").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(move |it| it.get(kind))
}

/// Returns a member that is a text; none is empty.
pub fn text<'v>(object: &'v Value, key: &str) -> &'v str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the statements of a rule.
pub fn statements(rule: &Value) -> impl Iterator<Item = &Value> {
    let parts = rule.get("expr").and_then(Value::as_array);
    parts.into_iter().flatten()
}

/// Tells whether a chain hangs in a hook and iptables does not have it.
pub(super) fn is_foreign_base(chain: &Value) -> bool {
    chain.get("hook").is_some() && !BUILT_IN.contains(&text(chain, "name"))
}

/// Tells whether a rule was not made by iptables-nft, which counts the packets of each of its rules and
/// knows no named sets: iptables-save prints such a rule otherwise than it is, or refuses its table.
pub(super) fn is_native(rule: &Value) -> bool {
    let names_set = |statement: &Value| {
        let right = statement.get("match").and_then(|it| it.get("right"));
        right.is_some_and(|right| {
            right.get("set").is_some() || right.as_str().is_some_and(|it| it.starts_with('@'))
        })
    };
    let counts = statements(rule).any(|it| it.get("counter").is_some());
    !counts || statements(rule).any(|it| names_set(it) || it.get("vmap").is_some())
}

/// What stands beside the rules that iptables-save shows, and may decide about the same packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// As in `ip filter`: family and table.
    pub table: String,
    pub chain: String,
    /// As in `forward`; empty for a rule within a chain of iptables.
    pub hook: String,
}

impl Unread {
    /// Tells whether packets of a family come by.
    pub fn concerns(&self, family: Family) -> bool {
        let other = match family {
            Family::V4 => "ip6 ",
            Family::V6 => "ip ",
        };
        !self.table.starts_with(other)
    }
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Unread { table, chain, hook } = self;
        if hook.is_empty() {
            write!(f, "a rule of nft's own in {table} {chain}")
        } else {
            write!(f, "{table} {chain} (hook {hook})")
        }
    }
}

/// Returns the chains of others that hang in a hook and are no part of iptables' rules, and iptables'
/// chains with rules that it did not make; each once. What cannot decide is left out: a chain that
/// accepts and has no rule, the tables of `arp`, and tables of tidegate's own.
pub fn unread(ruleset: &Value) -> Vec<Unread> {
    // Of each chain with rules, whether one of them is nft's own.
    let mut filled: BTreeMap<[&str; 3], bool> = BTreeMap::new();
    for rule in objects(ruleset, "rule") {
        *filled.entry(place(rule, "chain")).or_default() |= is_native(rule);
    }
    let chains = objects(ruleset, "chain");
    chains
        .filter_map(|chain| {
            let [family, table, name] = place(chain, "name");
            let rules = filled.get(&[family, table, name]);
            let by_iptables = is_of_iptables(chain);
            let hook = if by_iptables { "" } else { text(chain, "hook") };
            let decides = if by_iptables {
                rules.is_some_and(|native| *native)
            } else {
                !hook.is_empty() && (text(chain, "policy") == "drop" || rules.is_some())
            };
            let is_asked = family != "arp" && !table.starts_with("tidegate");
            (decides && is_asked).then(|| Unread {
                table: format!("{family} {table}"),
                chain: name.to_owned(),
                hook: hook.to_owned(),
            })
        })
        .collect()
}

/// Returns family and name of the tables in which a chain of others hangs in a hook; each once.
pub fn foreign_tables(chains: &Value) -> BTreeSet<(&str, &str)> {
    let chains = objects(chains, "chain").filter(|chain| chain.get("hook").is_some());
    let foreign = chains.filter(|chain| !is_of_iptables(chain));
    foreign
        .map(|chain| (text(chain, "family"), text(chain, "table")))
        .collect()
}

/// Returns family, table and chain of an object.
fn place<'v>(object: &'v Value, chain: &str) -> [&'v str; 3] {
    ["family", "table", chain].map(|key| text(object, key))
}

/// Tells whether iptables-save shows a chain.
fn is_of_iptables(chain: &Value) -> bool {
    matches!(text(chain, "family"), "ip" | "ip6")
        && OF_IPTABLES.contains(&text(chain, "table"))
        && !is_foreign_base(chain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chain(family: &str, table: &str, name: &str, hook: &str, policy: &str) -> Value {
        json!({"chain": {"family": family, "table": table, "name": name, "hook": hook, "policy": policy}})
    }

    fn rule(family: &str, table: &str, chain: &str, expr: &Value) -> Value {
        json!({"rule": {"family": family, "table": table, "chain": chain, "expr": expr}})
    }

    fn found(objects: &[Value]) -> Vec<String> {
        let all = unread(&json!({"nftables": objects}));
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn chains_that_decide_beside_iptables_are_named() {
        let counted = json!([{"counter": {}}, {"drop": null}]);
        let of_set = json!([{"match": {"right": "@bad"}}, {"counter": {}}, {"drop": null}]);
        let ranges =
            json!([{"match": {"right": {"range": [1, 2]}}}, {"counter": {}}, {"drop": null}]);
        assert_eq!(
            found(&[
                chain("ip", "filter", "FORWARD", "forward", "drop"),
                rule("ip", "filter", "FORWARD", &counted),
                rule("ip", "filter", "FORWARD", &ranges),
                chain("inet", "empty", "input", "input", "accept"),
                chain("inet", "guard", "in", "input", "accept"),
                rule("inet", "guard", "in", &counted),
                chain("ip", "filter", "mine", "forward", "drop"),
                chain("ip6", "filter", "INPUT", "input", "accept"),
                rule("ip6", "filter", "INPUT", &of_set),
                chain("arp", "x", "y", "input", "drop"),
                chain("bridge", "tidegate", "y", "prerouting", "drop"),
                json!({"chain": {"family": "inet", "table": "guard", "name": "called"}}),
                rule("inet", "guard", "called", &counted),
            ]),
            [
                "inet guard in (hook input)",
                "ip filter mine (hook forward)",
                "a rule of nft's own in ip6 filter INPUT",
            ]
        );
    }
}
