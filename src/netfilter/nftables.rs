//! Reads what `nft -j list ruleset` and `nft -j list table` print; libnftables-json(5).

use serde_json::Value;

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
            right.is_object() || right.as_str().is_some_and(|it| it.starts_with('@'))
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
    let rules: Vec<&Value> = objects(ruleset, "rule").collect();
    let mut found = Vec::new();
    for chain in objects(ruleset, "chain") {
        let (family, table) = (text(chain, "family"), text(chain, "table"));
        if family == "arp" || table.starts_with("tidegate") {
            continue;
        }
        let name = text(chain, "name");
        let is_here = |rule: &&&Value| {
            ["family", "table"]
                .iter()
                .all(|key| text(rule, key) == text(chain, key))
                && text(rule, "chain") == name
        };
        let mut here = rules.iter().filter(is_here);
        let by_iptables = matches!(family, "ip" | "ip6")
            && OF_IPTABLES.contains(&table)
            && !is_foreign_base(chain);
        let hook = text(chain, "hook");
        let decides = if by_iptables {
            here.any(|rule| is_native(rule))
        } else {
            !hook.is_empty() && (text(chain, "policy") == "drop" || here.next().is_some())
        };
        if decides {
            found.push(Unread {
                table: format!("{family} {table}"),
                chain: name.to_owned(),
                hook: if by_iptables { "" } else { hook }.to_owned(),
            });
        }
    }
    found
}
