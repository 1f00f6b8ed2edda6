//! Two sets of rules as if they were on one host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::machine::{facing_outside, placed};
use crate::net::Family;
use crate::netfilter::trace::{Link, Machine};
use crate::policy::ir::Policy;

/// A machine, and the policy that has names for it.
#[derive(Debug, Clone)]
pub struct Side {
    pub machine: Machine,
    /// With an address for every container.
    pub policy: Option<Policy>,
    pub kind: SideKind,
    /// Addresses of containers by the engine's names, for those that no policy names.
    pub known: BTreeMap<String, Vec<IpAddr>>,
}

/// Where a side's rules are from: whose interfaces and routes are worth most comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SideKind {
    Live,
    Policy,
    Saved,
}

/// Gives both sides the interfaces and routes of both, so that their rules alone are compared. Of the
/// same interface or prefix the one of the better known side counts.
pub fn on_one_host(one: &mut Side, two: &mut Side) {
    let (first, second) = if one.kind <= two.kind {
        (&*one, &*two)
    } else {
        (&*two, &*one)
    };
    let live = first.kind == SideKind::Live;
    let mut interfaces = first.machine.interfaces.clone();
    for link in &second.machine.interfaces {
        match interfaces.iter_mut().find(|known| known.name == link.name) {
            Some(known) if !live => add(&mut known.addresses, &link.addresses),
            Some(_) => {}
            None if live && is_outside(link, &second.machine) => {}
            None => interfaces.push(link.clone()),
        }
    }
    let mut routes = first.machine.routes.clone();
    for route in &second.machine.routes {
        if routes.iter().all(|(net, _)| *net != route.0) {
            routes.push(route.clone());
        }
    }
    if interfaces.is_empty() {
        // Saved rules do not say it, and without one nothing would reach the host.
        let outside = routes.first().map(|(_, name)| name.as_str());
        let v6 = first.machine.family == Family::V6;
        interfaces.extend(outside.map(|name| facing_outside(name, v6)));
    }
    for side in [one, two] {
        side.machine.interfaces.clone_from(&interfaces);
        side.machine.routes.clone_from(&routes);
    }
}

fn add(known: &mut Vec<IpNet>, more: &[IpNet]) {
    for net in more {
        if !known.contains(net) {
            known.push(*net);
        }
    }
}

/// A policy's own way out is a guess where a machine has one.
fn is_outside(link: &Link, machine: &Machine) -> bool {
    let mut routes = machine.routes.iter();
    routes.any(|(net, name)| net.prefix_len() == 0 && *name == link.name)
}

/// Like [`placed`], with the addresses that another policy's containers of the same names were given.
pub fn placed_as(policy: &Policy, before: Option<&Policy>) -> Policy {
    let mut policy = policy.clone();
    let mut taken: Vec<_> = all_addresses(&policy).collect();
    for at in 0..policy.containers.len() {
        for place in places(&policy, before, at) {
            let Some(container) = policy.containers.get_mut(at) else {
                continue;
            };
            let attachment = container.attachments.get_mut(place.0);
            if let Some(attachment) = attachment.filter(|_| !taken.contains(&place.1)) {
                attachment.addresses.push(place.1);
                taken.push(place.1);
            }
        }
    }
    placed(&policy)
}

fn all_addresses(policy: &Policy) -> impl Iterator<Item = IpAddr> {
    let all = policy.containers.iter().flat_map(|it| &it.attachments);
    all.flat_map(|at| at.addresses.iter().copied())
}

/// Returns the addresses that a container lacks and has in the other policy, by attachment.
fn places(policy: &Policy, before: Option<&Policy>, at: usize) -> Vec<(usize, IpAddr)> {
    let (Some(container), Some(before)) = (policy.containers.get(at), before) else {
        return Vec::new();
    };
    let same = before
        .containers
        .iter()
        .filter(|it| it.name == container.name);
    let known: Vec<_> = same
        .flat_map(|it| &it.attachments)
        .flat_map(|it| &it.addresses)
        .collect();
    let mut found = Vec::new();
    for (number, attachment) in container.attachments.iter().enumerate() {
        let network = policy.networks.get(attachment.network.0);
        let subnets = network.map_or(&[][..], |network| &network.subnets);
        for address in &known {
            let has = |it: &IpAddr| it.is_ipv4() == address.is_ipv4();
            let lacks = !attachment.addresses.iter().any(has);
            if lacks && subnets.iter().any(|net| net.contains(*address)) {
                found.push((number, **address));
            }
        }
    }
    found
}
