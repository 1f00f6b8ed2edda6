//! Which networks statements may lead to.

use std::collections::BTreeSet;

use crate::policy::ir::{Access, Effect, Party, Policy};

/// Sorts what opens something by the networks that it may lead to: with many of both, nobody asks all for each.
pub(super) fn allows_by_network(policy: &Policy) -> Vec<Vec<&Access>> {
    let mut allows = vec![Vec::new(); policy.networks.len()];
    let is_allow = |access: &&Access| access.effect == Effect::Allow;
    for access in policy.accesses.iter().filter(is_allow) {
        for network in aims(policy, access) {
            if let Some(list) = allows.get_mut(network) {
                list.push(access);
            }
        }
    }
    allows
}

/// Returns the networks that a statement may lead to, by their places.
fn aims(policy: &Policy, access: &Access) -> BTreeSet<usize> {
    let mut aims = BTreeSet::new();
    for right in &access.right {
        match right {
            Party::Network(id) => aims.extend([id.0]),
            Party::Container(id) => {
                let container = policy.containers.get(id.0).into_iter();
                let attachments = container.flat_map(|it| &it.attachments);
                aims.extend(attachments.map(|at| at.network.0));
            }
            Party::Any | Party::Host | Party::Outside | Party::Trust(_) => {
                aims.extend(0..policy.networks.len());
            }
        }
    }
    aims
}
