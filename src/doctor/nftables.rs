//! Reads `nft -j list ruleset`, libnftables-json(5), as far as the checks need it.

use serde_json::Value;

use super::facts::Facts;
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::netfilter::nftables::{objects, statements, text, unread};

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
