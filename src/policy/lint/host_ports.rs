//! What a statement does to the host, or does not do, where its words may say otherwise.

use crate::diag::{Diagnostic, code};
use crate::policy::ir::{Access, Effect, Network, NetworkId, Party, Policy};

/// Warns of each `allow … -> host` for such as reach it without.
pub(super) fn closes_nothing(policies: &[Policy]) -> Vec<Diagnostic> {
    let Some(policy) = policies.first() else {
        return Vec::new();
    };
    let allows = policy
        .accesses
        .iter()
        .filter(|access| access.effect == Effect::Allow && access.right == [Party::Host]);
    allows
        .filter_map(|access| {
            let party = access.left.first()?;
            if !access
                .left
                .iter()
                .all(|party| reaches_host(policies, *party))
            {
                return None;
            }
            let says = format!("`{}` reaches the host without it", policy.name(*party));
            let place = policy.left_name(access.span, 0);
            let title = "this closes the host's ports to nobody else";
            let warning = Diagnostic::warning(code::HOST_LEFT_OPEN, title).at(place, says);
            let warning = warning
                .note("The host's own ports are open but for `host-access off` and denials.");
            Some(warning.help("close them to others in a firewall of the host's own"))
        })
        .collect()
}

/// Tells whether nothing of the policy keeps a party from the host's ports.
fn reaches_host(policies: &[Policy], party: Party) -> bool {
    let is_open = |network: &Network| !network.local || network.host_access;
    let open = |id: NetworkId| {
        let mut all = policies
            .iter()
            .filter_map(|policy| policy.networks.get(id.0));
        all.all(is_open)
    };
    match party {
        Party::Host => false,
        Party::Any => policies.iter().flat_map(|it| &it.networks).all(is_open),
        Party::Outside | Party::Trust(_) => true,
        Party::Network(id) => open(id),
        Party::Container(id) => {
            let policy = policies.first();
            let container = policy.and_then(|policy| policy.containers.get(id.0));
            container.is_some_and(|it| it.attachments.iter().all(|at| open(at.network)))
        }
    }
}

/// Warns of each `deny any`, which is about the host, too, unless an expectation says that it is meant.
pub(super) fn any_is_host(policy: &Policy) -> Vec<Diagnostic> {
    let expected = |access: &Access| {
        let mut all = policy.expectations.iter();
        all.any(|it| it.left == Party::Host && !it.allowed && access.right.contains(&it.right))
    };
    let says_host = |access: &Access| access.left.contains(&Party::Host);
    let denials = policy.accesses.iter().filter(|access| {
        access.effect == Effect::Deny
            && access.right.iter().any(|right| *right != Party::Host)
            && !access.right.contains(&Party::Any)
            && !says_host(access)
            && !expected(access)
    });
    denials
        .filter_map(|access| {
            let at = access.left.iter().position(|left| *left == Party::Any)?;
            let place = policy.left_name(access.span, at);
            let title = "`any` is the host, too";
            let warning = Diagnostic::warning(code::ANY_IS_HOST, title);
            let warning = warning.at(place, "this denies it to the host's own processes");
            let right = access.right.iter().find(|right| **right != Party::Host)?;
            let right = policy.name(*right);
            Some(warning.help(format!(
                "name networks and `outside` instead; if it is meant: `expect host -> {right} denied`"
            )))
        })
        .collect()
}
