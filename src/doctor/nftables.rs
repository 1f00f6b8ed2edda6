//! Reads `nft -j list ruleset`, libnftables-json(5), as far as the checks need it.

use ipnet::IpNet;
use serde_json::{Value, json};

fn objects<'v>(ruleset: &'v Value, kind: &'static str) -> impl Iterator<Item = &'v Value> {
    let list = ruleset.get("nftables").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(move |it| it.get(kind))
}

fn text<'v>(object: &'v Value, key: &str) -> &'v str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the names of all tables.
pub(super) fn tables(ruleset: &Value) -> impl Iterator<Item = &str> {
    objects(ruleset, "table").map(|table| text(table, "name"))
}

/// Returns true where a rule of a table names a prefix.
pub(super) fn names(ruleset: &Value, table: &str, prefix: &IpNet) -> bool {
    let prefix = json!({"addr": prefix.network().to_string(), "len": prefix.prefix_len()});
    let mut rules = objects(ruleset, "rule").filter(|rule| text(rule, "table") == table);
    rules.any(|rule| holds(rule, &prefix))
}

/// Returns true where a value stands anywhere in another as its `prefix`.
fn holds(value: &Value, prefix: &Value) -> bool {
    match value {
        Value::Array(all) => all.iter().any(|it| holds(it, prefix)),
        Value::Object(all) => {
            all.get("prefix") == Some(prefix) || all.values().any(|it| holds(it, prefix))
        }
        _ => false,
    }
}

/// Returns the names of flowtables.
pub(super) fn flowtables(ruleset: &Value) -> Vec<String> {
    let tables = objects(ruleset, "flowtable");
    tables.map(|it| place(it, text(it, "name"))).collect()
}

/// Returns the places of rules with a statement of that name. Those of iptables-nft are told of as
/// iptables' own, and have none such.
pub(super) fn with(ruleset: &Value, statement: &'static str) -> Vec<String> {
    let has = |rule: &&Value| {
        let parts = rule.get("expr").and_then(Value::as_array);
        let mut parts = parts.into_iter().flatten();
        parts.any(|part| part.get(statement).is_some())
    };
    let rules = objects(ruleset, "rule").filter(has);
    rules.map(|rule| place(rule, text(rule, "chain"))).collect()
}

fn place(object: &Value, name: &str) -> String {
    format!(
        "nftables {} {} {name}",
        text(object, "family"),
        text(object, "table")
    )
}
