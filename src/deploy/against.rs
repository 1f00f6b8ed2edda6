//! Asks a machine for what [`crate::compare`] compares: its engine, itself, and the rules in force.

use super::converge::families;
use crate::artifact::{Bundle, Opening};
use crate::compare::{Asks, World, against_others, compare, under_rules};
use crate::compile::recovered;
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::facts::Facts;
use crate::host::{Host, HostError};
use crate::netfilter::trace::Machine;
use crate::policy::ir::Policy;
use crate::question::{LiveError, of_live};

/// What an engine answers when it is asked what runs.
#[derive(Debug, Clone)]
pub enum Engine {
    /// None runs: there is nothing that a policy could be compared with.
    Absent,
    Runs(Box<Facts>),
    /// It runs, and why it does not say.
    Silent(String),
}

impl Engine {
    /// Asks the engine of a machine.
    pub fn of(host: &dyn Host) -> Self {
        match host.facts() {
            Ok(None) => Engine::Absent,
            Ok(Some(facts)) => Engine::Runs(Box::new(facts)),
            Err(error) => Engine::Silent(error.to_string()),
        }
    }

    pub fn facts(&self) -> Option<&Facts> {
        match self {
            Engine::Runs(facts) => Some(facts),
            Engine::Absent | Engine::Silent(_) => None,
        }
    }

    /// Returns what follows from an engine that does not answer.
    pub fn silence(&self) -> Option<Finding> {
        let Engine::Silent(why) = self else {
            return None;
        };
        let seen = format!("the engine does not say what runs: {why}");
        let finding = Finding::new(code::NOT_COMPARED_WITH_ENGINE, Weight::Warning, seen)
            .why(
                "whether its networks, containers and published ports are as the policy says is not \
                 known",
            )
            .remedy("mend what it says, then look again");
        Some(finding)
    }
}

/// Returns all that a machine has otherwise than the policy of an installed bundle; the worst first.
pub fn look(host: &dyn Host, bundle: &Bundle) -> Vec<Finding> {
    match bundle.parties() {
        Ok(parties) => match recovered(bundle.manifest(), parties) {
            Ok(policy) => look_at(host, &policy, &parties.openings),
            Err(error) => vec![unread(&error.to_string())],
        },
        Err(error) => vec![unread(&error.to_string())],
    }
}

fn unread(why: &str) -> Finding {
    let seen = format!("whom the bundle is about cannot be read: {why}");
    Finding::new(code::NOT_COMPARED_WITH_ENGINE, Weight::Warning, seen)
        .why("whether what runs is as the policy says is not known")
        .remedy("apply the policy again")
}

/// Like [`look`], for a policy and what its bundle says that it opens.
pub fn look_at(host: &dyn Host, policy: &Policy, openings: &[Opening]) -> Vec<Finding> {
    let engine = Engine::of(host);
    let Some(facts) = engine.facts() else {
        let found = engine.silence().into_iter();
        return found
            .chain(without_engine(host, policy, openings))
            .collect();
    };
    let asks = Asks::Look;
    let world = World {
        policy,
        facts,
        asks,
    };
    let mut found = compare(world);
    found.extend(in_force(host, world, openings));
    found.sort_by_key(|finding| finding.weight);
    found
}

/// Returns what others drop of what the policy opens on the host itself, which needs no engine.
fn without_engine(host: &dyn Host, policy: &Policy, openings: &[Opening]) -> Vec<Finding> {
    let own = openings.iter().filter(|it| it.container.is_none());
    let own: Vec<Opening> = own.cloned().collect();
    if own.is_empty() {
        return Vec::new();
    }
    let world = World {
        policy,
        facts: &Facts::default(),
        asks: Asks::Look,
    };
    match machines(host) {
        Ok(machines) => against_others(world, &own, &machines),
        Err(why) => vec![unfollowed(&why)],
    }
}

/// Returns what the rules that are in force now make of published ports, and of what the policy opens.
pub fn in_force(host: &dyn Host, world: World<'_>, openings: &[Opening]) -> Vec<Finding> {
    match machines(host) {
        Ok(machines) => {
            let mut found = under_rules(world, openings, Ok(&machines));
            found.extend(against_others(world, openings, &machines));
            found
        }
        Err(why) => {
            let mut found = under_rules(world, openings, Err(&why));
            found.push(unfollowed(&why));
            found
        }
    }
}

fn unfollowed(why: &str) -> Finding {
    let seen = format!("the rules in force cannot be followed: {why}");
    Finding::new(code::NOT_COMPARED_WITH_ENGINE, Weight::Warning, seen)
        .why("whether published ports are closed, and others drop what the policy opens, is not known")
        .remedy("mend what it says, or ask as root, then look again")
}

/// Returns the machine as packets meet it, in each family that its kernel has.
fn machines(host: &dyn Host) -> Result<Vec<Machine>, String> {
    let machine = |family| {
        let rules = host.save(family).map_err(because)?;
        let addresses = host.addresses().map_err(because)?;
        let routes = host.routes(family).map_err(because)?;
        of_live(&rules, &addresses, &routes, family).map_err(|error: LiveError| error.to_string())
    };
    families(host).into_iter().map(machine).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn because(error: HostError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_silent_is_not_fine_and_an_absent_one_is() {
        let silent = Engine::Silent("timeout".to_owned()).silence().unwrap();
        assert_eq!(silent.weight, Weight::Warning);
        crate::diag::told(silent.code, &silent.text());
        assert!(Engine::Absent.silence().is_none());
    }
}
