//! Reads `nft -j list ruleset`, libnftables-json(5), as far as the checks need it.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::facts::Facts;
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::netfilter::nftables::{objects, statements, text, unread};

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
    let has = |rule: &&Value| statements(rule).any(|part| part.get(statement).is_some());
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

/// Rules that neither tidegate nor iptables has written, and that tidegate does not read.
pub(super) fn unfollowed(facts: &Facts) -> Vec<Finding> {
    let found = unread(&facts.nftables).into_iter().map(|chain| {
        Finding::new(
            code::RULES_UNREAD,
            Weight::Warning,
            "rules of others that tidegate cannot read",
        )
        .at(chain.to_string())
        .why(
            "the kernel asks them as well: they may drop what the policy allows, or send a packet \
             elsewhere before it comes to the policy; answers about this machine leave them out",
        )
        .remedy("nothing, if they are meant; `nft -a list ruleset` shows them")
    });
    found.collect()
}
