//! Links of compose files that a policy does not open.

use crate::diag::{Diagnostic, code};
use crate::policy::ir::{Container, ContainerId, Effect, Party, Policy};

/// Returns what speaks against a link, if no statement opens anything of the one to the other.
pub(super) fn check(
    policy: &Policy,
    from: &Container,
    to: &str,
    origin: &str,
) -> Option<Diagnostic> {
    let (from, to) = (find(policy, &from.name)?, find(policy, to)?);
    if share_icc(policy, from, to) || opens(policy, from, to) {
        return None;
    }
    let name = |id: ContainerId| policy.containers.get(id.0).map(|it| it.name.as_str());
    let (left, right) = (name(from)?, name(to)?);
    let title = format!("{origin} links `{left}` to `{right}`, and the policy does not");
    let place = policy.containers.get(from.0)?.span;
    let warning = Diagnostic::warning(code::COMPOSE_LINK, title)
        .at(place, "its connections there are dropped")
        .help(format!(
            "write `link {left} -> {right}`, or take the link out there"
        ));
    Some(warning)
}

fn find(policy: &Policy, name: &str) -> Option<ContainerId> {
    let at = policy.containers.iter().position(|it| it.name == name);
    at.map(ContainerId)
}

fn share_icc(policy: &Policy, from: ContainerId, to: ContainerId) -> bool {
    let on = |id: ContainerId, network| {
        let container = policy.containers.get(id.0);
        container.is_some_and(|it| it.is_on(network))
    };
    let from_on = policy
        .containers
        .get(from.0)
        .into_iter()
        .flat_map(|it| &it.attachments);
    from_on.map(|at| at.network).any(|network| {
        let open = policy.networks.get(network.0).is_some_and(|it| it.icc);
        open && on(to, network)
    })
}

fn opens(policy: &Policy, from: ContainerId, to: ContainerId) -> bool {
    let allows = policy.accesses.iter().any(|access| {
        access.effect == Effect::Allow
            && access.left.iter().any(|party| covers(policy, *party, from))
            && access.right.iter().any(|party| covers(policy, *party, to))
    });
    let exposures = policy
        .containers
        .get(to.0)
        .into_iter()
        .flat_map(|it| &it.exposures);
    let mut offered = exposures.flat_map(|exposure| &exposure.from);
    allows || offered.any(|party| covers(policy, *party, from))
}

fn covers(policy: &Policy, party: Party, id: ContainerId) -> bool {
    match party {
        Party::Any => true,
        Party::Container(container) => container == id,
        Party::Network(network) => policy
            .containers
            .get(id.0)
            .is_some_and(|it| it.is_on(network)),
        Party::Host | Party::Outside | Party::Trust(_) => false,
    }
}
