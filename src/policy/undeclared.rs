//! What an engine has beside what a policy declares, from facts.
//!
//! Facts only ever close here: a container counts as the policy's where both its name and its network say
//! so, and an interface is somebody else's where its name could not be a new network's.

use std::net::IpAddr;

use crate::facts::{ContainerFacts, EngineSettings, Facts, PublishedPort};
use crate::net::{AddrSet, PortRange};
use crate::source::Span;

use super::ir::{
    Container, ContainerId, ENGINE_BRIDGES, Effect, EnginePort, Exposure, IfName, Limits,
    NetworkId, Owner, Party, Policy, Protocol, Published, TrustId, Undeclared,
};

/// The label by which Docker Compose says which service a container is of.
const SERVICE: &str = "com.docker.compose.service";

/// Returns what `facts` say of the host of a policy.
pub(super) fn of(policy: &Policy, facts: &Facts) -> Undeclared {
    let local = policy.networks.iter().filter(|network| network.local);
    let declared: Vec<&str> = local.map(|network| network.bridge.0.as_str()).collect();
    let bridges = facts.bridges().map(|(name, _)| name);
    let bridges = bridges.filter(|name| !declared.contains(name));
    let mut ports = Vec::new();
    for (name, container) in &facts.containers {
        let homes = homes(policy, facts, container);
        let own = own(policy, &homes, name, container);
        let unopened = container.ports.iter();
        let unopened = unopened.filter_map(|port| Some((port, owner(policy, own, &homes, port)?)));
        ports.extend(unopened.map(|(port, owner)| engine_port(name, port, owner)));
    }
    Undeclared {
        bridges: bridges.map(|name| IfName(name.to_owned())).collect(),
        foreign: foreign(facts),
        ports: joined(ports),
        leaves_ipv6: facts
            .settings
            .as_ref()
            .is_some_and(EngineSettings::leaves_ipv6),
    }
}

/// Takes the containers of networks that no line declares out of trust sets: an address of theirs is one
/// that the engine chose, not one that somebody trusts. A set that a `deny` names stays whole, so that it
/// denies no less.
pub(super) fn keep_out_of_trust(policy: &mut Policy, facts: &Facts) {
    let local = policy.networks.iter().filter(|network| network.local);
    let declared: Vec<&str> = local.map(|network| network.bridge.0.as_str()).collect();
    let bridges = facts.bridges();
    let others = bridges.filter(|(name, _)| !declared.contains(name));
    let subnets: Vec<AddrSet> = others
        .flat_map(|(_, network)| network.subnets.iter().copied().map(AddrSet::prefix))
        .collect();
    let subnets = AddrSet::union_of(&subnets);
    let denials = policy.accesses.iter();
    let denials = denials.filter(|access| access.effect == Effect::Deny);
    let named = denials.flat_map(|access| access.left.iter().chain(&access.right));
    let named: Vec<Party> = named.copied().collect();
    for (id, trust) in (0..).map(TrustId).zip(&mut policy.trusts) {
        if !named.contains(&Party::Trust(id)) && trust.set.overlaps(&subnets) {
            trust.set = trust.set.difference(&subnets);
        }
    }
}

/// Returns interfaces that are not the engine's, though they are called as one of its bridges: what is no
/// bridge, and what has no name as Docker gives it. A bridge with such a name may have been made since.
fn foreign(facts: &Facts) -> Vec<IfName> {
    let machine = facts.machine.iter().filter(|_| facts.engine.is_some());
    let all = machine.flat_map(|machine| &machine.interfaces);
    let alike = all.filter(|(name, it)| {
        let is_bridge = it.kind.as_deref() == Some("bridge");
        let called = ENGINE_BRIDGES.iter().any(|start| name.starts_with(start));
        let is_made = |name: &&str| name.strip_prefix("br-").is_none_or(is_id);
        called && !(is_bridge && is_made(&name.as_str()))
    });
    let others = alike.filter(|(name, _)| facts.network_of(name).is_none());
    others.map(|(name, _)| IfName(name.clone())).collect()
}

fn is_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns the networks of the policy that a container is on.
fn homes(policy: &Policy, facts: &Facts, engine: &ContainerFacts) -> Vec<NetworkId> {
    let bridges = engine.networks.keys();
    let bridges: Vec<&str> = bridges
        .filter_map(|network| facts.networks.get(network)?.bridge.as_deref())
        .collect();
    let all = (0..).map(NetworkId).zip(&policy.networks);
    let homes = all.filter(|(_, it)| it.local && bridges.contains(&it.bridge.0.as_str()));
    homes.map(|(id, _)| id).collect()
}

/// Returns the container of the policy that one of the engine's is.
fn own(
    policy: &Policy,
    homes: &[NetworkId],
    name: &str,
    engine: &ContainerFacts,
) -> Option<ContainerId> {
    let is_on = |container: &Container| homes.iter().any(|home| container.is_on(*home));
    let service = engine.labels.get(SERVICE);
    let is_called = |container: &Container| {
        container.name == written(name) || service.is_some_and(|it| *it == container.name)
    };
    let mut all = (0..).map(ContainerId).zip(&policy.containers);
    let found = all.find(|(_, container)| is_called(container) && is_on(container));
    found.map(|(id, _)| id)
}

/// Returns an engine's name as a policy can write it.
fn written(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect()
}

/// Returns whose a port is that no line opens for its container; nothing for one that a line opens.
fn owner(
    policy: &Policy,
    own: Option<ContainerId>,
    homes: &[NetworkId],
    port: &PublishedPort,
) -> Option<Owner> {
    let exposures = (0..).map(ContainerId).zip(&policy.containers);
    let exposures = exposures.flat_map(|(id, it)| it.exposures.iter().map(move |it| (id, it)));
    let mut taken = None;
    for (id, exposure) in exposures.filter(|(_, exposure)| meets(exposure, port)) {
        if Some(id) != own {
            taken = taken.or(Some(exposure.span));
        } else if opens(exposure, port) {
            return None;
        }
    }
    let container = own.and_then(|id| Some((id, policy.containers.get(id.0)?)));
    Some(match (taken, container) {
        (Some(span), _) => Owner::Taken(span),
        (None, Some((id, container))) => Owner::Declared(id, to_nobody(container.span, port)),
        (None, None) => match homes.first().and_then(|id| policy.networks.get(id.0)) {
            Some(home) => Owner::Neighbour(homes.to_vec(), to_nobody(home.span, port)),
            None => Owner::Undeclared,
        },
    })
}

/// Tells whether a line speaks of a port at some address.
fn meets(exposure: &Exposure, port: &PublishedPort) -> bool {
    let said = exposure.published.as_ref();
    exposure.protocol == port.protocol && said.is_some_and(|said| said.meets(&published(port)))
}

/// Tells whether a line opens a port wherever it is, and speaks of what is behind it.
fn opens(exposure: &Exposure, port: &PublishedPort) -> bool {
    exposure.published.as_ref().is_some_and(|published| {
        let everywhere = published.address.is_none() || published.address == address(port);
        let by = port.host.saturating_sub(published.ports.first);
        everywhere && exposure.ports.first.saturating_add(by) == port.container
    })
}

/// Who listens at every address of one family may do so in the other.
fn address(port: &PublishedPort) -> Option<IpAddr> {
    port.single_address()
}

fn to_nobody(span: Span, port: &PublishedPort) -> Exposure {
    Exposure {
        protocol: port.protocol,
        ports: single(port.container),
        published: Some(published(port)),
        from: Vec::new(),
        limits: Limits::default(),
        log: false,
        span,
    }
}

fn published(port: &PublishedPort) -> Published {
    Published {
        address: address(port),
        ports: single(port.host),
    }
}

fn single(port: u16) -> PortRange {
    PortRange {
        first: port,
        last: port,
    }
}

fn engine_port(name: &str, port: &PublishedPort, owner: Owner) -> EnginePort {
    EnginePort {
        container: name.to_owned(),
        protocol: port.protocol,
        published: published(port),
        owner,
    }
}

/// Joins ports in a row that differ in their number alone, and drops those that are there twice, as one of
/// each family is.
fn joined(mut ports: Vec<EnginePort>) -> Vec<EnginePort> {
    ports.sort_by(|one, other| key(one).cmp(&key(other)));
    let mut found: Vec<EnginePort> = Vec::with_capacity(ports.len());
    for port in ports {
        let taken_in = found.last_mut().is_some_and(|last| takes_in(last, &port));
        if !taken_in {
            found.push(port);
        }
    }
    found
}

fn key(port: &EnginePort) -> (&str, Protocol, Option<IpAddr>, u16, u16) {
    let inner = match &port.owner {
        Owner::Declared(_, exposure) | Owner::Neighbour(_, exposure) => exposure.ports.first,
        Owner::Taken(_) | Owner::Undeclared => 0,
    };
    let (address, ports) = (port.published.address, port.published.ports);
    (&port.container, port.protocol, address, ports.first, inner)
}

/// Lets a range take in the port behind its last, or one of its own.
fn takes_in(last: &mut EnginePort, next: &EnginePort) -> bool {
    let alike = last.container == next.container
        && last.protocol == next.protocol
        && last.published.address == next.published.address;
    let port = next.published.ports.first;
    let (first, end) = (last.published.ports.first, last.published.ports.last);
    if !alike || port > end.saturating_add(1) {
        return false;
    }
    match (&mut last.owner, &next.owner) {
        (Owner::Undeclared, Owner::Undeclared) => {}
        (Owner::Taken(one), Owner::Taken(other)) if one == other => {}
        (Owner::Declared(_, range), Owner::Declared(_, inner))
        | (Owner::Neighbour(_, range), Owner::Neighbour(_, inner)) => {
            let behind = range.ports.first.saturating_add(port - first);
            if behind != inner.ports.first {
                return false;
            }
            range.ports.last = range.ports.last.max(behind);
            if let Some(published) = &mut range.published {
                published.ports.last = end.max(port);
            }
        }
        _ => return false,
    }
    last.published.ports.last = end.max(port);
    true
}
