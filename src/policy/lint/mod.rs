//! What a policy says that does nothing, or says twice, as far as its names tell. Nothing of it is
//! wrong, and rules would be the same without it: so these are warnings, and only for who asks.

mod closed_port;
mod gateway;
mod host_ports;
mod idle_network;
mod names;
mod redundant_name;
mod repeated;
mod resolver;
mod unlinked;
mod unused_set;

use crate::diag::Diagnostic;

use super::ir::Policy;

/// Returns what there is to say about a policy, given as each of its hosts sees it.
pub fn lint(policies: &[Policy]) -> Vec<Diagnostic> {
    let Some(policy) = policies.first() else {
        return Vec::new();
    };
    // All hosts see the same sets, networks, containers and statements.
    let mut found = unused_set::check(policy);
    found.extend(idle_network::check(policies));
    found.extend(closed_port::check(policy));
    found.extend(redundant_name::check(policy));
    found.extend(unlinked::check(policy));
    found.extend(repeated::check(policy));
    found.extend(gateway::check(policies));
    found.extend(host_ports::closes_nothing(policies));
    found.extend(host_ports::any_is_host(policy));
    found.extend(resolver::check(policies));
    found
}
