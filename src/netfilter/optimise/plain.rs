//! Without trees: each prefix is a rule.

use std::sync::Arc;

use ipnet::IpNet;

use super::weight;
use crate::netfilter::TooManyRules;
use crate::netfilter::lower::MAX_RULES;
use crate::netfilter::rule::{Rule, Ruleset};

/// Makes plain lists of a draft.
///
/// Errors: more than a million rules.
pub fn plain(draft: Ruleset) -> Result<Ruleset, TooManyRules> {
    let mut count = 0usize;
    for rule in draft.chains.values().flatten() {
        count = count.saturating_add(weight(rule));
        if count > MAX_RULES {
            return Err(TooManyRules {
                limit: MAX_RULES,
                span: rule.origin.as_ref().map(|origin| origin.span),
            });
        }
    }
    let chains = draft.chains.into_iter();
    let chains = chains.map(|(key, rules)| (key, expand(rules)));
    Ok(Ruleset {
        chains: chains.collect(),
        ..draft
    })
}

/// Returns a rule for each source with each destination.
pub(super) fn expand(rules: Vec<Rule>) -> Vec<Rule> {
    if rules
        .iter()
        .all(|rule| weight(rule) == 1 && rule.sources.is_none())
    {
        return rules;
    }
    let mut all = Vec::with_capacity(rules.iter().map(weight).sum());
    for rule in rules {
        expand_into(&mut all, rule);
    }
    all
}

fn expand_into(all: &mut Vec<Rule>, mut rule: Rule) {
    let (sources, destinations) = (rule.sources.take(), rule.destinations.take());
    for source in each(sources.as_ref(), rule.source) {
        for destination in each(destinations.as_ref(), rule.destination) {
            all.push(Rule {
                source,
                destination,
                ..rule.clone()
            });
        }
    }
}

fn each(
    many: Option<&Arc<[IpNet]>>,
    one: Option<IpNet>,
) -> impl Iterator<Item = Option<IpNet>> + '_ {
    let single = many.is_none().then_some(one);
    let many = many
        .into_iter()
        .flat_map(|many| many.iter().copied().map(Some));
    many.chain(single)
}
