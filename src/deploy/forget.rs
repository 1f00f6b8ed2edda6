//! Networks that the bundle in force closes, and that another bundle is not about any more.

use super::apply::refused;
use super::error::{ApplyError, Problem};
use super::intact::{Copy, Intact, is_damage, newest};
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
///
/// Returns what is to be said where the installed bundle cannot be read: which copy was asked instead, or that
/// nothing is known.
pub fn forgets_nothing(
    host: &dyn Host,
    bundle: &Bundle,
    facts: Option<&Facts>,
    meant: &[String],
) -> Result<Option<Finding>, ApplyError> {
    let (installed, said) = in_force(host).map_err(refused)?;
    let Some(installed) = installed else {
        return Ok(said);
    };
    let old = match installed.parties() {
        Ok(old) => old,
        Err(error) => return Ok(Some(unknown(&error.to_string()))),
    };
    let new = bundle.parties().map_err(Problem::from).map_err(refused)?;
    let mut found = forgotten(old, new, facts);
    found.retain(|network| !meant.contains(&network.name));
    if found.is_empty() {
        return Ok(said);
    }
    Err(refused(Problem::Forgets(found)))
}

/// Returns the installed bundle; where that is damaged or gone, the newest intact copy, and what to say of it.
fn in_force(host: &dyn Host) -> Result<(Option<Bundle>, Option<Finding>), Problem> {
    let damage = match store::installed(host) {
        Ok(Some(installed)) => return Ok((Some(installed), None)),
        Ok(None) => Problem::NotInstalled,
        Err(problem) if is_damage(&problem) => problem,
        Err(problem) => return Err(problem),
    };
    match newest(host) {
        Ok(Intact {
            copy: Copy::Whole(bundle),
            ..
        }) => {
            let said = Some(of_a_copy(&bundle, &damage));
            Ok((Some(*bundle), said))
        }
        Ok(Intact {
            copy: Copy::Rules(error, _),
            ..
        }) => Ok((None, Some(unknown(&error.to_string())))),
        Err(Problem::NotInstalled) => Ok((None, None)),
        Err(Problem::NothingIntact(why)) => Ok((None, Some(unknown(&why.to_string())))),
        Err(problem) => Err(problem),
    }
}

fn of_a_copy(copy: &Bundle, damage: &Problem) -> Finding {
    let (policy, version) = (&copy.manifest().policy, copy.short_version());
    let seen = format!(
        "the installed bundle cannot be read: {}",
        in_a_line(&damage.to_string())
    );
    Finding::new(code::OLDER_COPY, Weight::Warning, seen)
        .why(format!(
            "which networks are closed is read from {policy}, version {version}, the newest copy that is \
             intact"
        ))
        .remedy("nothing: the bundle that is applied takes its place")
}

fn unknown(why: &str) -> Finding {
    let seen = format!(
        "which networks the policy in force closes is not known, for no copy can be read: {}",
        in_a_line(why)
    );
    Finding::new(code::NOTHING_INTACT, Weight::Error, seen)
        .why("one that the policy does not name is left to the engine from now on")
        .remedy("compare the policy with the networks that the engine has")
}

fn in_a_line(text: &str) -> String {
    text.replace('\n', ": ")
}

/// Returns what a first policy closes without a word of it: published ports of networks that it does not
/// declare. That is an error but on trial.
pub fn closed_at_first(host: &dyn Host, policy: &Policy, on_trial: bool) -> Option<Finding> {
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
    let weight = if on_trial {
        Weight::Note
    } else {
        Weight::Error
    };
    let seen = format!("this closes ports that no line opens: {}", ports.join(", "));
    let finding = Finding::new(code::CLOSED_AT_FIRST, weight, seen)
        .why(
            "networks that the policy does not declare are closed to whoever is outside the engine",
        )
        .remedy(
            "declare what is to be reached, try it with `--confirm`, or say in `host` what is meant: `others \
             closed`, or `others leave` to leave all of it open",
        );
    Some(finding)
}

/// Returns the networks of this host in `old` that are not in `new`, by their bridge or, where that is gone, by
/// their name, and that may be there.
fn forgotten(old: &Parties, new: &Parties, facts: Option<&Facts>) -> Vec<Forgotten> {
    let is_bridge = |network: &NetworkEntry| {
        facts.is_none_or(|facts| facts.network_of(&network.bridge).is_some())
    };
    let is_there = |network: &NetworkEntry| {
        is_bridge(network) || facts.is_some_and(|it| it.networks.contains_key(&network.name))
    };
    // One name on another bridge may be another project's: what is on this one would be free.
    let is_named = |network: &NetworkEntry| {
        let mut all = new.networks.iter().filter(|it| it.local);
        all.any(|it| it.bridge == network.bridge || it.name == network.name && !is_bridge(network))
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
        // Another bridge may be another project's, while the old one may still be there.
        assert_eq!(names(&old, &moved, None), ["shop"]);
        assert_eq!(names(&old, &other, None), ["shop"]);
        let there = "engine: docker 28.5.2\nnetworks: {a: {driver: bridge, bridge: br-shop}}";
        assert_eq!(names(&old, &other, Some(there)), ["shop"]);
        assert_eq!(names(&old, &moved, Some(there)), ["shop"]);
        assert!(names(&old, &moved, Some("engine: docker 28.5.2")).is_empty());
        let by_name = "engine: docker 28.5.2\nnetworks: {shop: {driver: bridge, bridge: br-0}}";
        assert_eq!(names(&old, &other, Some(by_name)), ["shop"]);
        assert!(names(&old, &other, Some("engine: docker 28.5.2")).is_empty());
    }
}
