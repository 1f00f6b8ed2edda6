//! Exposures that nobody whom they name can reach.

use crate::diag::{Diagnostic, code};
use crate::net::Family;
use crate::policy::ir::{Container, Exposure, NetworkId, Party, Policy};

/// Warns of each exposure all of whose `from` lack addresses of the family in which it is reached.
pub(super) fn check(policy: &Policy) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    for container in &policy.containers {
        for exposure in &container.exposures {
            found.extend(closed(policy, container, exposure));
        }
    }
    // Ports of one statement are closed for one reason.
    found.dedup();
    found
}

fn closed(policy: &Policy, container: &Container, exposure: &Exposure) -> Option<Diagnostic> {
    let first = *exposure.from.first()?;
    let mut families = Family::BOTH.into_iter();
    let reached = |family: &Family| is_reached(policy, container, exposure, *family);
    let (family, other) = (families.clone().find(reached)?, families.rfind(reached)?);
    let comes = |party: &Party| comes(policy, *party, family);
    if family != other || exposure.from.iter().any(comes) {
        return None;
    }
    Some(nobody(exposure, family, policy.name(first)))
}

/// Tells whether connections of a family can be made to an exposure at all.
fn is_reached(policy: &Policy, container: &Container, exposure: &Exposure, family: Family) -> bool {
    match &exposure.published {
        Some(published) => published.address.is_none_or(|it| family.has(it)),
        None => is_on(policy, container, family),
    }
}

fn comes(policy: &Policy, party: Party, family: Family) -> bool {
    match party {
        Party::Any | Party::Host | Party::Outside => true,
        Party::Container(id) => {
            let container = policy.containers.get(id.0);
            container.is_none_or(|it| is_on(policy, it, family))
        }
        Party::Network(id) => has(policy, id, family),
        Party::Trust(id) => {
            let trust = policy.trusts.get(id.0);
            trust.is_none_or(|it| it.set.has(family))
        }
    }
}

fn is_on(policy: &Policy, container: &Container, family: Family) -> bool {
    let mut attachments = container.attachments.iter();
    attachments.any(|at| has(policy, at.network, family))
}

fn has(policy: &Policy, network: NetworkId, family: Family) -> bool {
    let network = policy.networks.get(network.0);
    let mut subnets = network.into_iter().flat_map(|it| &it.subnets);
    subnets.any(|subnet| family.has(subnet.addr()))
}

fn nobody(exposure: &Exposure, family: Family, first: &str) -> Diagnostic {
    let who = match exposure.from.len() {
        1 => format!("`{first}` has no {family} address"),
        _ => format!("nobody in `from` has an {family} address"),
    };
    let warning = Diagnostic::warning(
        code::CLOSED_PORT,
        "nobody in this `from` can reach the port",
    )
    .at(exposure.span, who)
    .note(format!("It is reached by {family} alone."));
    if exposure.published.is_some() {
        warning.help("publish it on an address of their family, or name somebody else")
    } else {
        warning.help("give the network a subnet of their family, or name somebody else")
    }
}
