//! Networks about which nothing is said.

use std::collections::HashSet;

use crate::diag::{Diagnostic, code};
use crate::policy::ir::{Network, NetworkId, Others, Party, Policy};

use super::names::named;

/// Warns of each network that has no container, that nothing names and that has no setting of its
/// own, so that nothing of the policy is about it but that it is closed.
pub(super) fn check(policies: &[Policy]) -> Vec<Diagnostic> {
    let Some(policy) = policies.first() else {
        return Vec::new();
    };
    let (named, joined) = (named(policy), joined(policy));
    let networks = policy.networks.iter().zip((0..).map(NetworkId));
    let idle = networks.filter(|(network, id)| {
        !named.contains(&Party::Network(*id))
            && !joined.contains(id)
            && is_plain(network)
            && !lets_out(policies, *id)
    });
    idle.map(|(network, _)| nothing_said(network)).collect()
}

fn joined(policy: &Policy) -> HashSet<NetworkId> {
    let attachments = policy.containers.iter().flat_map(|it| &it.attachments);
    attachments.map(|at| at.network).collect()
}

fn is_plain(network: &Network) -> bool {
    !network.icc && network.egress && network.host_access && network.antispoof
}

/// Where others are dropped, a network is declared to be let out.
fn lets_out(policies: &[Policy], id: NetworkId) -> bool {
    let is_home = |policy: &&Policy| policy.networks.get(id.0).is_some_and(|it| it.local);
    let home = policies.iter().find(is_home);
    home.is_some_and(|policy| matches!(policy.host.others, Others::Drop(_)))
}

fn nothing_said(network: &Network) -> Diagnostic {
    let title = format!("nothing is said about the network `{}`", network.name);
    Diagnostic::warning(code::IDLE_NETWORK, title)
        .at(network.span, "no container is on it, and nothing names it")
        .note("It is closed: who is on it may go out, and nobody may connect to them.")
        .help("declare its containers, or leave it so with `--allow T0602`")
}
