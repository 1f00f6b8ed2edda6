//! `filter` INPUT: published ports that the userland proxy serves, and the host's own sockets.
//!
//! The proxy answers where the engine does not translate: IPv6 clients of a container without IPv6,
//! clients on the same bridge, and up to Docker 28 clients on other bridges. It connects with the
//! host's address, so this is the last place where the true source is seen.

use super::ways::{End, View, Way, between, ports_of};
use super::{Chains, limits, meets_policy, network_chain, others};
use crate::net::PortRange;
use crate::netfilter::rule::{Conntrack, Interface, Origin, Rule, Service, Target};
use crate::netfilter::{ChainName, Family, Table};
use crate::policy::ir::{Access, ContainerId, Effect, Exposure, NetworkId, Owner, Party};

pub(super) fn lower(chains: &mut Chains<'_, '_>) {
    let input = ChainName::fixed("INPUT");
    let lo = Some(Interface::lo());
    let pass = Rule {
        target: Target::Return,
        ..Rule::default()
    };
    chains.push(
        Table::Filter,
        &input,
        Rule {
            input: lo,
            ..pass.clone()
        },
    );
    let conntrack = Some(Conntrack::Known);
    chains.push(Table::Filter, &input, Rule { conntrack, ..pass });
    for network in chains.view.network_ids() {
        from_network(chains, &input, network);
    }
    from_afar(chains, &input);
    discovery(chains, &input, Way::HostIn);
    decide(chains, &input, Way::HostIn);
}

/// What comes from other hosts' networks is not from outside.
fn from_afar(chains: &mut Chains<'_, '_>, input: &ChainName) {
    let (view, chain) = (chains.view, ChainName::fixed("FAR"));
    if view.far().next().is_none() {
        return;
    }
    decide(chains, &chain, Way::HostFar);
    let decided = chains.rules.contains_key(&(Table::Filter, chain.clone()));
    let target = if decided {
        Target::Goto(chain)
    } else {
        Target::Return
    };
    for (network, subnet) in view.far() {
        let rule = Rule {
            source: Some(subnet),
            target: target.clone(),
            origin: Some(meets_policy(view, network)),
            ..Rule::default()
        };
        chains.push(Table::Filter, input, rule);
    }
}

/// What comes from a network; a chain that would hold nothing is left out.
fn from_network(chains: &mut Chains<'_, '_>, input: &ChainName, network: NetworkId) {
    let view = chains.view;
    let chain = network_chain(view, network, "host");
    discovery(chains, &chain, Way::HostFrom(network));
    decide(chains, &chain, Way::HostFrom(network));
    if !view.network(network).host_access {
        closed_host(chains, &chain, network);
    }
    // Without a chain of its own a network must not fall through to what is meant for outside.
    let decided = chains.rules.contains_key(&(Table::Filter, chain.clone()));
    let target = if decided {
        Target::Goto(chain)
    } else {
        Target::Return
    };
    let bridge = Interface::named(&view.network(network).bridge);
    chains.push(
        Table::Filter,
        input,
        Rule {
            input: Some(bridge),
            target,
            origin: Some(meets_policy(view, network)),
            ..Rule::default()
        },
    );
}

/// Routers and neighbours find each other (RFC 4861) where something else would stop them:
/// connection tracking does not follow that, and no IPv6 works without it, not even outwards.
fn discovery(chains: &mut Chains<'_, '_>, chain: &ChainName, way: Way) {
    let view = chains.view;
    let closed = matches!(way, Way::HostFrom(id) if !view.network(id).host_access);
    let denies = |access: &Access| {
        access.effect == Effect::Deny && !view.access_rules(access, way).is_empty()
    };
    if view.family == Family::V4 || !(closed || view.policy.accesses.iter().any(denies)) {
        return;
    }
    for kind in 133..=136 {
        let rule = Rule {
            service: Some(Service::Icmp(kind)),
            target: Target::Return,
            ..Rule::default()
        };
        chains.push(Table::Filter, chain, rule);
    }
}

/// Denials first, then every published port: who may, and nobody else.
fn decide(chains: &mut Chains<'_, '_>, chain: &ChainName, way: Way) {
    let view = chains.view;
    let verdict = match way {
        Way::HostFrom(network) => chains.drop_target(Table::Filter, network),
        _ => Target::Drop,
    };
    for access in &view.policy.accesses {
        if access.effect == Effect::Deny {
            host_access(chains, chain, way, access, &verdict);
        }
    }
    others::taken(chains, chain);
    for container in view.container_ids() {
        for exposure in &view.container(container).exposures {
            published(chains, chain, way, Behind::Container(container), exposure);
        }
    }
    for port in &view.policy.undeclared.ports {
        match &port.owner {
            Owner::Declared(container, exposure) => {
                published(chains, chain, way, Behind::Container(*container), exposure);
            }
            Owner::Neighbour(homes, exposure) => {
                published(chains, chain, way, Behind::Somebody(homes), exposure);
            }
            Owner::Taken(_) | Owner::Undeclared => {}
        }
    }
    if !matches!(way, Way::HostFrom(_)) {
        others::ports(chains, chain);
    }
}

/// A statement about the host itself.
fn host_access(
    chains: &mut Chains<'_, '_>,
    chain: &ChainName,
    way: Way,
    access: &Access,
    verdict: &Target,
) {
    let rules = chains.view.access_rules(access, way);
    chains.push_all(Table::Filter, chain, rules, verdict);
}

/// `host-access off`: what no `allow` names ends here.
fn closed_host(chains: &mut Chains<'_, '_>, chain: &ChainName, network: NetworkId) {
    let view = chains.view;
    for access in &view.policy.accesses {
        if access.effect == Effect::Allow {
            host_access(
                chains,
                chain,
                Way::HostFrom(network),
                access,
                &Target::Return,
            );
        }
    }
    let target = chains.drop_target(Table::Filter, network);
    let says = "containers of this network may not reach the host";
    let origin = Some(view.say_network(network, says));
    chains.push(
        Table::Filter,
        chain,
        Rule {
            target,
            origin,
            ..Rule::default()
        },
    );
}

/// Who is behind a published port.
#[derive(Debug, Clone, Copy)]
enum Behind<'a> {
    Container(ContainerId),
    /// Somebody on these networks, whom the policy does not name.
    Somebody(&'a [NetworkId]),
}

impl Behind<'_> {
    fn home(self, view: &View<'_>) -> Option<NetworkId> {
        match self {
            Behind::Container(id) => Some(view.container(id).attachments.first()?.network),
            Behind::Somebody(homes) => homes.first().copied(),
        }
    }

    fn is_on(self, view: &View<'_>, network: NetworkId) -> bool {
        match self {
            Behind::Container(id) => view.container(id).is_on(network),
            Behind::Somebody(homes) => homes.contains(&network),
        }
    }

    /// Tells whether a right side means whoever it is.
    fn is_meant(self, view: &View<'_>, party: Party) -> bool {
        match (self, party) {
            (Behind::Container(id), _) => view.covers(party, id),
            (Behind::Somebody(_), Party::Any) => true,
            (Behind::Somebody(homes), Party::Network(id)) => homes.contains(&id),
            (Behind::Somebody(_), _) => false,
        }
    }
}

fn published(
    chains: &mut Chains<'_, '_>,
    chain: &ChainName,
    way: Way,
    behind: Behind<'_>,
    exposure: &Exposure,
) {
    let view = chains.view;
    let Some(socket) = host_socket(exposure, view.family) else {
        return;
    };
    let home = behind.home(view);
    let closed = home.map_or(Target::Drop, |home| chains.drop_target(Table::Filter, home));
    for access in &view.policy.accesses {
        if access.effect == Effect::Deny {
            by_statement(chains, chain, way, (behind, exposure), access, &closed);
        }
    }
    neighbours(chains, chain, way, (behind, exposure));
    for access in &view.policy.accesses {
        if access.effect == Effect::Allow {
            by_statement(
                chains,
                chain,
                way,
                (behind, exposure),
                access,
                &Target::Return,
            );
        }
    }
    // Last of what opens: what is over its limits ends there.
    if let Behind::Container(container) = behind {
        let ends = std::slice::from_ref(&socket.end);
        let rules = view.exposure_rules(container, exposure, way, ends, socket.service);
        let place = (Table::Filter, chain);
        limits::push(chains, place, (container, exposure), rules, &Target::Return);
    }
    nobody_else(chains, chain, (behind, exposure), &socket, closed);
}

/// The host's side of a published exposure.
struct Socket {
    end: End,
    service: Option<Service>,
}

/// Returns nothing for the other family, and nothing for loopback addresses: `raw` drops those
/// before they come here.
fn host_socket(exposure: &Exposure, family: Family) -> Option<Socket> {
    let published = exposure.published.as_ref()?;
    if published
        .address
        .is_some_and(|at| at.is_loopback() || !family.has(at))
    {
        return None;
    }
    let service = Some(Service::To(exposure.protocol, published.ports));
    let net = published.address.map(Into::into);
    Some(Socket {
        end: End {
            net,
            ..End::default()
        },
        service,
    })
}

/// With `icc on` a container reaches its neighbour's published port as it reaches the neighbour.
fn neighbours(
    chains: &mut Chains<'_, '_>,
    chain: &ChainName,
    way: Way,
    (behind, exposure): (Behind<'_>, &Exposure),
) {
    let view = chains.view;
    let Way::HostFrom(network) = way else { return };
    let Some(socket) = host_socket(exposure, view.family) else {
        return;
    };
    if view.network(network).icc && behind.is_on(view, network) {
        let says = "containers of this network may reach each other";
        let origin = Some(view.say_network(network, says));
        let rule = Rule {
            service: socket.service,
            ..between(&End::default(), &socket.end)
        };
        let rule = Rule {
            target: Target::Return,
            origin,
            ..rule
        };
        chains.push(Table::Filter, chain, rule);
    }
}

/// A statement about the container behind the port counts for the port.
fn by_statement(
    chains: &mut Chains<'_, '_>,
    chain: &ChainName,
    way: Way,
    (behind, exposure): (Behind<'_>, &Exposure),
    access: &Access,
    verdict: &Target,
) {
    let view = chains.view;
    let Some(socket) = host_socket(exposure, view.family) else {
        return;
    };
    for &right in access
        .right
        .iter()
        .filter(|right| behind.is_meant(view, **right))
    {
        for ports in ports_of(&access.services, exposure) {
            let said = Some(Service::To(exposure.protocol, ports));
            let mut rules = view.source_rules(access, right, way, &socket.end, said);
            for rule in &mut rules {
                rule.service = Some(Service::To(exposure.protocol, host_ports(exposure, ports)));
            }
            chains.push_all(Table::Filter, chain, rules, verdict);
        }
    }
}

/// Returns the host's ports that stand for some of the container's.
fn host_ports(exposure: &Exposure, ports: PortRange) -> PortRange {
    let Some(published) = &exposure.published else {
        return ports;
    };
    let host = |port: u16| {
        let offset = port.saturating_sub(exposure.ports.first);
        published.ports.first.saturating_add(offset)
    };
    PortRange {
        first: host(ports.first),
        last: host(ports.last),
    }
}

fn nobody_else(
    chains: &mut Chains<'_, '_>,
    chain: &ChainName,
    (behind, exposure): (Behind<'_>, &Exposure),
    socket: &Socket,
    target: Target,
) {
    let view: &View<'_> = chains.view;
    let origin = Some(match behind {
        Behind::Container(container) => view.say_closed(container, exposure),
        Behind::Somebody(_) => Origin {
            span: exposure.span,
            says: "no line opens a port of somebody on this network".into(),
        },
    });
    let rule = Rule {
        service: socket.service,
        ..between(&End::default(), &socket.end)
    };
    chains.push(
        Table::Filter,
        chain,
        Rule {
            target,
            origin,
            ..rule
        },
    );
}
