//! Networks named where the host might be meant: a network's name is its containers, and never the address
//! that the host has there.

use std::collections::BTreeSet;

use crate::diag::{Diagnostic, code};
use crate::policy::ir::{Access, ContainerId, Effect, NetworkId, Party, Policy, Service};

/// Warns of statements about ports that no container of the network exposes, from containers about whose
/// way to the host it would decide: closed ones in an `allow`, others in a `deny`.
pub(super) fn check(policies: &[Policy]) -> Vec<Diagnostic> {
    let all = policies.iter().flat_map(|policy| {
        let accesses = policy.accesses.iter();
        accesses.filter_map(|access| meant(policy, access))
    });
    // All hosts have the same statements.
    let mut told = BTreeSet::new();
    let place = |it: &Diagnostic| it.labels.first().map(|label| label.span);
    all.filter(|it| told.insert(place(it))).collect()
}

fn meant(policy: &Policy, access: &Access) -> Option<Diagnostic> {
    let is_open = access.effect == Effect::Deny;
    let comes = |party: &Party| reaches_host(policy, *party) == Some(is_open);
    if access.services.is_empty() || !access.left.iter().any(comes) {
        return None;
    }
    let mut rights = access.right.iter().zip(0..);
    let (right, at) = rights.find(|(right, _)| match right {
        Party::Network(id) => is_local(policy, *id) && !serves(policy, *id, &access.services),
        _ => false,
    })?;
    let name = policy.name(*right);
    let does = match access.effect {
        Effect::Allow => "opens",
        Effect::Deny => "closes",
    };
    let title = format!("`{name}` is its containers, not the host's address on it");
    let place = policy.right_name(access.span, at);
    let warning = Diagnostic::warning(code::GATEWAY_MEANT, title)
        .at(place, "no container of it exposes these ports");
    Some(warning.help(format!(
        "`-> host` {does} the host's own; or `--allow T0613`"
    )))
}

/// Tells whether all of a party's containers may reach the host; nothing where it is none of this host's.
fn reaches_host(policy: &Policy, party: Party) -> Option<bool> {
    let open = |id: NetworkId| policy.networks.get(id.0).filter(|it| it.local);
    match party {
        Party::Network(id) => open(id).map(|it| it.host_access),
        Party::Container(ContainerId(id)) => {
            let attachments = policy.containers.get(id).into_iter();
            let networks = attachments.flat_map(|it| &it.attachments);
            let mut networks = networks.filter_map(|at| open(at.network)).peekable();
            networks.peek()?;
            Some(networks.all(|it| it.host_access))
        }
        Party::Any | Party::Host | Party::Outside | Party::Trust(_) => None,
    }
}

fn is_local(policy: &Policy, id: NetworkId) -> bool {
    policy.networks.get(id.0).is_some_and(|it| it.local)
}

/// Tells whether containers of a network expose some of the ports; of what has no ports nobody can tell.
fn serves(policy: &Policy, id: NetworkId, services: &[Service]) -> bool {
    let here = policy.containers.iter().filter(|it| it.is_on(id));
    let exposures: Vec<_> = here.flat_map(|it| &it.exposures).collect();
    services.iter().any(|service| match *service {
        Service::Ports(protocol, Some(range)) => exposures
            .iter()
            .any(|it| it.protocol == protocol && it.ports.intersection(range).is_some()),
        Service::Icmp(_) | Service::Ports(_, None) => true,
    })
}
