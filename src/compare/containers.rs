//! Containers that run elsewhere than the policy says.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::World;
use super::networks::{Found, found, lines};
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::facts::{ContainerFacts, Facts};
use crate::policy::ir::{Attachment, Container, Network, Policy};

/// By which a container of a compose project is known to its neighbours.
const SERVICE: &str = "com.docker.compose.service";

pub(super) fn compare(world: World<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in local(world.policy) {
        if let Some(facts) = world.facts.containers.get(&container.name) {
            found.extend(elsewhere(world, container, facts));
            found.extend(besides(world, container, facts));
        }
        found.extend(taken(world, container));
    }
    found
}

/// Returns the containers that run on this host.
pub(super) fn local(policy: &Policy) -> impl Iterator<Item = &Container> {
    policy.containers.iter().filter(|container| {
        let mut at = container.attachments.iter();
        at.any(|at| network(policy, at).is_some_and(|it| it.local))
    })
}

fn network<'p>(policy: &'p Policy, at: &Attachment) -> Option<&'p Network> {
    policy.networks.get(at.network.0)
}

/// Tells whether a running container is the one that a line is about: by its name as the engine has it, as
/// an import writes it, or as its compose project calls it.
pub(super) fn is(container: &Container, name: &str, facts: &ContainerFacts) -> bool {
    let fits = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let written: String = name.chars().map(fits).collect();
    let service = facts.labels.get(SERVICE);
    container.name == name
        || container.name == format!("{written}-container")
        || service.is_some_and(|service| *service == container.name)
}

/// Returns where it is not on its networks, or not at its addresses.
fn elsewhere(world: World<'_>, container: &Container, facts: &ContainerFacts) -> Vec<Finding> {
    let at = container.attachments.iter();
    let found = at.filter_map(|at| {
        let network = network(world.policy, at).filter(|it| it.local)?;
        // What is wrong with the network itself is told where networks are.
        let Found::Same(name, _) = found(world.policy, world.facts, network) else {
            return None;
        };
        match facts.networks.get(name) {
            None => Some(not_on(container, network, facts)),
            Some(addresses) => other_address((container, network), at, addresses),
        }
    });
    found.collect()
}

fn not_on(container: &Container, network: &Network, facts: &ContainerFacts) -> Finding {
    let (name, wanted) = (&container.name, &network.name);
    let networks: Vec<&str> = facts.networks.keys().map(String::as_str).collect();
    let on = match (networks.as_slice(), facts.network_mode.as_deref()) {
        ([], Some("host")) => "with the host's network".to_owned(),
        ([], Some(mode)) => format!("with the network mode {mode}"),
        ([], None) => "without a network".to_owned(),
        (all, _) => format!("on {}", all.join(", ")),
    };
    let seen = format!("container `{name}` does not run on `{wanted}`, but {on}");
    Finding::new(code::CONTAINER_ELSEWHERE, Weight::Error, seen)
        .underlines(container.span, format!("says `on {wanted}`"))
        .why("what the policy says of it is about an address that it does not have")
        .remedy(format!(
            "run it with `--network {wanted}`, or write in the policy where it runs"
        ))
}

fn other_address(
    (container, network): (&Container, &Network),
    at: &Attachment,
    now: &[IpAddr],
) -> Option<Finding> {
    let (name, on) = (&container.name, &network.name);
    let said = |address: &&IpAddr| {
        let mut same = at
            .addresses
            .iter()
            .filter(|it| it.is_ipv4() == address.is_ipv4());
        same.next().is_some() && !at.addresses.contains(address)
    };
    let other = now.iter().find(said)?;
    let wanted = at
        .addresses
        .iter()
        .find(|it| it.is_ipv4() == other.is_ipv4())?;
    let seen = format!("container `{name}` is at {other} on `{on}`, not at {wanted}");
    let finding = Finding::new(code::CONTAINER_ADDRESS, Weight::Error, seen)
        .underlines(container.span, format!("the rules have {wanted}"))
        .why(format!("what the policy opens for it is open for whoever has {wanted}, and not for it"))
        .remedy(format!(
            "run it with `--ip {wanted}`, or apply the policy again: `at` in it has to say {other} or nothing"
        ));
    Some(finding)
}

/// Returns a note about networks that it is on and no line declares.
fn besides(world: World<'_>, container: &Container, facts: &ContainerFacts) -> Option<Finding> {
    let declared = bridges(world.policy);
    // One with another bridge than its line says is told where networks are.
    let is_named = |name: &str| {
        world
            .policy
            .networks
            .iter()
            .any(|it| it.local && it.name == name)
    };
    let mut on = facts.networks.keys().filter_map(|name| {
        let network = world.facts.networks.get(name)?;
        Some((name, network.bridge.as_deref()?, network))
    });
    let (other, bridge, network) =
        on.find(|(name, bridge, _)| !declared.contains(bridge) && !is_named(name))?;
    let name = &container.name;
    let seen = format!("container `{name}` is also on `{other}`, which no line declares");
    let finding = Finding::new(code::CONTAINER_BESIDES, Weight::Note, seen)
        .underlines(container.span, "is about other networks alone")
        .why("what the policy says of the container does not hold for its address there")
        .remedy(format!(
            "add `network {other} {{ {} }}` to the policy, and `on {other}` to the container",
            lines(bridge, &network.subnets)
        ));
    Some(finding)
}

/// Returns the bridges of the networks of this host.
pub(super) fn bridges(policy: &Policy) -> BTreeSet<&str> {
    let here = policy.networks.iter().filter(|it| it.local);
    here.map(|it| it.bridge.0.as_str()).collect()
}

/// Returns whoever else has an address that the policy gives to a container.
fn taken(world: World<'_>, container: &Container) -> Option<Finding> {
    let at = container.attachments.iter();
    let here = at.filter(|at| network(world.policy, at).is_some_and(|it| it.local));
    let mut addresses = here.flat_map(|at| &at.addresses);
    addresses.find_map(|address| {
        let (other, facts) = whose(world.facts, *address)?;
        (!is(container, other, facts)).then(|| is_taken(world, container, *address, other))
    })
}

fn whose(facts: &Facts, address: IpAddr) -> Option<(&str, &ContainerFacts)> {
    let mut all = facts.containers.iter();
    let found = all.find(|(_, it)| it.networks.values().flatten().any(|at| *at == address));
    found.map(|(name, facts)| (name.as_str(), facts))
}

fn is_taken(world: World<'_>, container: &Container, address: IpAddr, other: &str) -> Finding {
    let name = &container.name;
    let weight = world.if_in_force(Weight::Error, Weight::Warning);
    let seen =
        format!("{address}, which the policy gives to `{name}`, is the container `{other}`'s");
    Finding::new(code::ADDRESS_TAKEN, weight, seen)
        .underlines(container.span, format!("{address} is another's"))
        .why(format!("what the policy opens for `{name}` is open for `{other}`"))
        .remedy(format!(
            "call it `{other}` in the policy, if it is the same; else start `{other}` anew while `{name}` runs"
        ))
}
