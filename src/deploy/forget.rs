//! Networks that the bundle in force closes, and that another bundle is not about any more.

use super::apply::refused;
use super::error::{ApplyError, Problem};
use super::store;
use crate::artifact::{Bundle, NetworkEntry, Parties};
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::facts::Facts;
use crate::host::Host;
use crate::policy::ir::{Others, Owner, Policy};

/// A network by its name in the policy, and its bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    pub name: String,
    pub bridge: String,
}

/// Refuses a bundle that is not about a network which the installed one closes and the engine still has,
/// unless it is among those `meant`. Where no facts are known, the engine may have any.
pub fn forgets_nothing(
    host: &dyn Host,
    bundle: &Bundle,
    facts: Option<&Facts>,
    meant: &[String],
) -> Result<(), ApplyError> {
    // What cannot be read is replaced like what is out of date, and nothing is known of it.
    let Ok(Some(installed)) = store::installed(host) else {
        return Ok(());
    };
    let old = installed
        .parties()
        .map_err(Problem::from)
        .map_err(refused)?;
    let new = bundle.parties().map_err(Problem::from).map_err(refused)?;
    let mut found = forgotten(old, new, facts);
    found.retain(|network| !meant.contains(&network.name));
    if found.is_empty() {
        return Ok(());
    }
    Err(refused(Problem::Forgets(found)))
}

/// Returns what a first policy closes without a word of it: published ports of networks that it does not
/// declare.
pub fn closed_at_first(host: &dyn Host, policy: &Policy) -> Option<Finding> {
    if host.exists(store::CURRENT) || policy.host.others != Others::Closed(None) {
        return None;
    }
    let ports = policy.undeclared.ports.iter();
    let ports = ports.filter(|port| matches!(port.owner, Owner::Neighbour(..) | Owner::Undeclared));
    let ports = ports.map(|port| format!("{} of `{}`", port.outer(), port.container));
    let ports: Vec<String> = ports.collect();
    if ports.is_empty() {
        return None;
    }
    let seen = format!("this closes ports that no line opens: {}", ports.join(", "));
    let finding = Finding::new(code::CLOSED_AT_FIRST, Weight::Note, seen)
        .why(
            "networks that the policy does not declare are closed to whoever is outside the engine",
        )
        .remedy("declare what is to be reached, or write `others leave` to leave all of it open");
    Some(finding)
}

/// Returns the networks of this host in `old` that are not in `new`, by name nor by bridge, and that may be
/// there.
fn forgotten(old: &Parties, new: &Parties, facts: Option<&Facts>) -> Vec<Forgotten> {
    let is_named = |network: &NetworkEntry| {
        let mut all = new.networks.iter().filter(|it| it.local);
        all.any(|it| it.name == network.name || it.bridge == network.bridge)
    };
    let is_there = |network: &NetworkEntry| {
        facts.is_none_or(|facts| {
            facts.networks.contains_key(&network.name)
                || facts.network_of(&network.bridge).is_some()
        })
    };
    let gone = old.networks.iter().filter(|it| it.local && !is_named(it));
    let gone = gone.filter(|network| is_there(network));
    gone.map(|network| Forgotten {
        name: network.name.clone(),
        bridge: network.bridge.clone(),
    })
    .collect()
}

/// Says which networks are forgotten, and what that opens.
pub(super) fn forgets(found: &[Forgotten]) -> String {
    let names = found
        .iter()
        .map(|it| format!("`{}` ({})", it.name, it.bridge));
    let names: Vec<String> = names.collect();
    let which = if found.len() == 1 {
        "which the one in force closes\nits containers"
    } else {
        "which the one in force closes\ntheir containers"
    };
    format!(
        "the policy does not name {}, {which} would reach each other, the host and outside as the \
         engine lets them",
        names.join(", ")
    )
}

pub(super) fn how_to_forget(found: &[Forgotten]) -> String {
    let options = found.iter().map(|it| format!("--forget {}", it.name));
    let options: Vec<String> = options.collect();
    format!(
        "apply a policy that names it, too, or, if that is meant, apply with {}",
        options.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parties(networks: &[(&str, &str, bool)]) -> Parties {
        let entry = |(name, bridge, local): &(&str, &str, bool)| NetworkEntry {
            name: (*name).to_owned(),
            bridge: (*bridge).to_owned(),
            local: *local,
            icc: false,
            subnets: Vec::new(),
        };
        Parties {
            networks: networks.iter().map(entry).collect(),
            ..Parties::default()
        }
    }

    fn names(old: &Parties, new: &Parties, facts: Option<&str>) -> Vec<String> {
        let facts = facts.map(|text| Facts::read(text).unwrap());
        let found = forgotten(old, new, facts.as_ref());
        found.into_iter().map(|it| it.name).collect()
    }

    #[test]
    fn what_no_line_names_any_more_is_forgotten_where_it_may_be_there() {
        let old = parties(&[("shop", "br-shop", true), ("far", "br-far", false)]);
        let renamed = parties(&[("store", "br-shop", true)]);
        let moved = parties(&[("shop", "br-new", true)]);
        let other = parties(&[("blog", "br-blog", true), ("shop", "br-shop", false)]);
        assert!(names(&old, &old, None).is_empty());
        assert!(names(&old, &renamed, None).is_empty());
        assert!(names(&old, &moved, None).is_empty());
        assert_eq!(names(&old, &other, None), ["shop"]);
        let there = "engine: docker 28.5.2\nnetworks: {a: {driver: bridge, bridge: br-shop}}";
        assert_eq!(names(&old, &other, Some(there)), ["shop"]);
        let by_name = "engine: docker 28.5.2\nnetworks: {shop: {driver: bridge, bridge: br-0}}";
        assert_eq!(names(&old, &other, Some(by_name)), ["shop"]);
        assert!(names(&old, &other, Some("engine: docker 28.5.2")).is_empty());
    }
}
