//! Reads `nft -j list ruleset`, libnftables-json(5), as far as the checks need it.

use serde_json::Value;

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
