//! `raw` PREROUTING, where a false source is seen before anything trusts it and where Docker 28.2
//! and newer drop what goes straight to a container's address; `nat` POSTROUTING, where a granted
//! connection keeps its source.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::ways::{View, Way};
use super::{Chains, network_chain};
use crate::net::PortRange;
use crate::netfilter::rule::{Conntrack, Interface, Rule, Service, Target};
use crate::netfilter::{ChainName, Family, Table};
use crate::policy::ir::{NetworkId, Protocol};

/// The host's own addresses that no packet from elsewhere may have (RFC 6890).
pub(super) const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

pub(super) fn lower(chains: &mut Chains<'_, '_>) {
    keep_sources_afar(chains);
    if chains.view.policy.host.engine.drops_routed() {
        past_engine(chains);
    } else if chains.view.has_peers() {
        // Nobody drops routed access here.
        keep_sources(chains);
    }
    false_sources(chains);
}

/// What is false ends here. A bridge that keeps to its own addresses is looked at first: what it sends
/// is neither another network's nor anybody else's, so nothing is asked of a packet twice.
fn false_sources(chains: &mut Chains<'_, '_>) {
    let (raw, routed) = (ChainName::fixed("RAW"), ChainName::fixed("ROUTED"));
    let is_there = chains.rules.contains_key(&(Table::Raw, routed.clone()));
    let true_one = if is_there {
        Target::Goto(routed)
    } else {
        Target::Return
    };
    loopback(chains, &raw);
    let view = chains.view;
    let strict = || {
        view.network_ids()
            .filter(|network| view.network(*network).antispoof)
    };
    for network in strict() {
        sources_of(chains, &raw, network, &true_one);
    }
    for network in strict() {
        claimed_from_elsewhere(chains, &raw, network);
    }
    if is_there {
        let target = true_one;
        chains.push(
            Table::Raw,
            &raw,
            Rule {
                target,
                ..Rule::default()
            },
        );
    }
}

/// Fills the chain of what gets past the engine's drops in this table.
fn past_engine(chains: &mut Chains<'_, '_>) {
    let routed_chain = ChainName::fixed("ROUTED");
    let afar = from_afar(chains, &routed_chain);
    let (mut from_outside, mut between_networks) = (false, false);
    let peers = chains.view.has_peers();
    for network in chains.view.network_ids() {
        from_outside |= routed(chains, &routed_chain, Way::In(network), network);
        between_networks |= peers && routed(chains, &routed_chain, Way::Peer(network), network);
    }
    if afar || from_outside || between_networks {
        errors(chains, &routed_chain);
    }
    if between_networks {
        keep_sources(chains);
    }
}

/// Engines up to 27 answer on 127.0.0.1 to neighbours; see moby#45610. What the host sends to
/// itself is not looked at any further: its bridge addresses are in the subnets.
fn loopback(chains: &mut Chains<'_, '_>, raw: &ChainName) {
    let lo = Interface::lo();
    let own = Rule {
        input: Some(lo),
        target: Target::Return,
        ..Rule::default()
    };
    chains.push(Table::Raw, raw, own);
    if chains.view.family == Family::V4 {
        let destination = Some(LOOPBACK.into());
        chains.push(
            Table::Raw,
            raw,
            Rule {
                destination,
                ..Rule::default()
            },
        );
    }
    if chains.view.family == Family::V4 && chains.view.policy.host.engine.routes_loopback() {
        claimed_loopback(chains, raw);
    }
}

/// Where a bridge may route loopback addresses the kernel no longer refuses them as sources.
fn claimed_loopback(chains: &mut Chains<'_, '_>, raw: &ChainName) {
    let rule = Rule {
        source: Some(LOOPBACK.into()),
        ..Rule::default()
    };
    chains.push(Table::Raw, raw, rule);
}

/// Nobody but the network's own bridge may send with its addresses, and that does not come here.
fn claimed_from_elsewhere(chains: &mut Chains<'_, '_>, raw: &ChainName, network: NetworkId) {
    let view = chains.view;
    let says = "addresses of this network come from its own bridge only";
    for subnet in view.subnets(network) {
        let target = chains.drop_target(Table::Raw, network);
        let origin = Some(view.say_network(network, says));
        let rule = Rule {
            source: Some(subnet),
            target,
            origin,
            ..Rule::default()
        };
        chains.push(Table::Raw, raw, rule);
    }
}

/// A network's bridge may send with the network's addresses only, and without one what a container
/// sends before it has an address.
fn sources_of(chains: &mut Chains<'_, '_>, raw: &ChainName, network: NetworkId, true_one: &Target) {
    let view = chains.view;
    let chain = network_chain(view, network, "src");
    let says = "this network's bridge sends with its own addresses only";
    let origin = || Some(view.say_network(network, says));
    let input = Some(Interface::named(&view.network(network).bridge));
    let target = Target::Goto(chain.clone());
    chains.push(
        Table::Raw,
        raw,
        Rule {
            input,
            target,
            origin: origin(),
            ..Rule::default()
        },
    );
    let numbered = view.numbered(network).map(|source| Rule {
        source: Some(source),
        ..Rule::default()
    });
    let rules: Vec<Rule> = numbered.chain(unnumbered(view.family)).collect();
    chains.push_all(Table::Raw, &chain, rules, true_one);
    let target = chains.drop_target(Table::Raw, network);
    chains.push(
        Table::Raw,
        &chain,
        Rule {
            target,
            origin: origin(),
            ..Rule::default()
        },
    );
}

/// What a machine without an address sends, and no more of that source, which tells nobody: requests to
/// DHCP servers (RFC 2131, 4.1), and in IPv6 the question whether an address is free (RFC 4862, 5.4.2)
/// and which groups are listened to (RFC 2710, 3; RFC 3810, 5.2.13).
fn unnumbered(family: Family) -> Vec<Rule> {
    let dhcp = Service::To(
        Protocol::Udp,
        PortRange {
            first: 67,
            last: 67,
        },
    );
    let all: Vec<(IpNet, Service)> = match family {
        Family::V4 => vec![(IpAddr::V4(Ipv4Addr::BROADCAST).into(), dhcp)],
        Family::V6 => {
            let groups = |kind| (LINK_GROUPS.into(), Service::Icmp(kind));
            let free = (SOLICITED.into(), Service::Icmp(135));
            [free]
                .into_iter()
                .chain([131, 132, 143].map(groups))
                .collect()
        }
    };
    let rule = |(destination, service)| Rule {
        source: Some(family.unspecified().into()),
        destination: Some(destination),
        service: Some(service),
        ..Rule::default()
    };
    all.into_iter().map(rule).collect()
}

/// Solicited-node groups: RFC 4291, 2.7.1.
const SOLICITED: Ipv6Net =
    Ipv6Net::new_assert(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0), 104);
/// All groups of one link.
const LINK_GROUPS: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0), 16);

/// Lets routed access that the policy allows past the engine's drops in this table; the gate
/// decides about it afterwards. Returns true when there is any.
fn routed(chains: &mut Chains<'_, '_>, raw: &ChainName, way: Way, network: NetworkId) -> bool {
    let mut any = false;
    for rule in openings(chains.view, way, network) {
        any = true;
        let crosses = matches!(way, Way::Peer(_));
        let reply = crosses.then(|| reply(chains.view, network, &rule));
        let target = Target::Accept;
        chains.push(Table::Raw, raw, Rule { target, ..rule });
        if let Some(reply) = reply {
            chains.push(Table::Raw, raw, reply);
        }
    }
    any
}

/// Lets everything between this host's networks and those of others past the engine's drops in this
/// table, connections and answers: the gate decides about it afterwards, by the same addresses.
fn from_afar(chains: &mut Chains<'_, '_>, raw: &ChainName) -> bool {
    let view = chains.view;
    for network in view.network_ids() {
        let says = "what comes from other hosts' networks meets the policy";
        for (subnet, far) in pairs(view, network) {
            let rule = Rule {
                source: Some(far),
                destination: Some(subnet),
                target: Target::Accept,
                origin: Some(view.say_network(network, says)),
                ..Rule::default()
            };
            chains.push(Table::Raw, raw, rule);
        }
    }
    view.far().next().is_some()
}

/// Returns each subnet of a network with each subnet of other hosts' networks.
fn pairs<'v>(view: &'v View<'_>, network: NetworkId) -> impl Iterator<Item = (IpNet, IpNet)> + 'v {
    let subnets = view.subnets(network);
    subnets.flat_map(move |subnet| view.far().map(move |(_, far)| (subnet, far)))
}

/// Containers come to another host's with their own addresses.
fn keep_sources_afar(chains: &mut Chains<'_, '_>) {
    let (view, nat) = (chains.view, ChainName::fixed("NAT"));
    for network in view.network_ids() {
        let says = "connections to other hosts' networks keep their source";
        for (subnet, far) in pairs(view, network) {
            let rule = Rule {
                source: Some(subnet),
                destination: Some(far),
                target: Target::Accept,
                origin: Some(view.say_network(network, says)),
                ..Rule::default()
            };
            chains.push(Table::Nat, &nat, rule);
        }
    }
}

/// The answer of a container of `network` to one of another network goes to a container's address
/// as well, so it needs its own way past the engine's drop. The gate lets only replies through.
fn reply(view: &View<'_>, network: NetworkId, rule: &Rule) -> Rule {
    let service = match rule.service {
        Some(Service::To(protocol, ports)) => Some(Service::From(protocol, ports)),
        // Which type answers which is the gate's to know.
        Some(Service::Icmp(_)) => Some(Service::All(Protocol::Icmp)),
        other => other,
    };
    let bridge = Interface::named(&view.network(network).bridge);
    Rule {
        source: rule.destination,
        destination: rule.source,
        sources: rule.destinations.clone(),
        destinations: rule.sources.clone(),
        input: Some(bridge),
        service,
        target: Target::Accept,
        origin: rule.origin.clone(),
        ..Rule::default()
    }
}

/// Everything that statements open in `network` without the help of a published port.
fn openings(view: &View<'_>, way: Way, network: NetworkId) -> Vec<Rule> {
    let allows = view.allows_to(network).iter();
    let mut rules: Vec<Rule> = allows
        .flat_map(|access| view.routed_rules(access, way, network))
        .collect();
    for &container in view.residents(network) {
        let exposures = view.container(container).exposures.iter();
        for exposure in exposures.filter(|exposure| exposure.published.is_none()) {
            rules.extend(view.direct_rules(container, exposure, way));
        }
    }
    rules
}

/// ICMP messages about a connection, from any router on its way: destination unreachable, which
/// path-MTU discovery lives on, time exceeded and parameter problem (RFC 792).
const ERRORS_V4: [u8; 3] = [3, 11, 12];
/// The same with packet too big (RFC 4443).
const ERRORS_V6: [u8; 4] = [1, 2, 3, 4];

/// Errors about routed access go to containers' own addresses, on either side of a link, and come
/// from anywhere. Those that belong to no connection end at the gate.
fn errors(chains: &mut Chains<'_, '_>, raw: &ChainName) {
    let view = chains.view;
    let kinds: &[u8] = match view.family {
        Family::V4 => &ERRORS_V4,
        Family::V6 => &ERRORS_V6,
    };
    for network in view.network_ids() {
        let origin = Some(view.say_network(network, "errors about routed access pass"));
        for (subnet, &kind) in view
            .subnets(network)
            .flat_map(|subnet| kinds.iter().map(move |kind| (subnet, kind)))
        {
            let rule = Rule {
                destination: Some(subnet),
                service: Some(Service::Icmp(kind)),
                target: Target::Accept,
                origin: origin.clone(),
                ..Rule::default()
            };
            chains.push(Table::Raw, raw, rule);
        }
    }
}

/// A container reaches another network with its own address, not the host's. What leaves the host is
/// not meant: it may carry the grant too, and needs the engine's masquerade. Published ports are left
/// out: there the masquerade brings the answer back.
///
/// Sources come first: drift tells by them that a masquerade above this hook does no harm.
fn keep_sources(chains: &mut Chains<'_, '_>) {
    let (nat, keep) = (ChainName::fixed("NAT"), ChainName::fixed("KEEP"));
    let view = chains.view;
    let says = "connections to other networks keep their source";
    for network in view.network_ids() {
        let origin = Some(view.say_network(network, says));
        for subnet in view.subnets(network) {
            let rule = Rule {
                source: Some(subnet),
                conntrack: Some(Conntrack::NotDnat),
                mark: true,
                target: Target::Jump(keep.clone()),
                origin: origin.clone(),
                ..Rule::default()
            };
            chains.push(Table::Nat, &nat, rule);
        }
        let rule = Rule {
            output: Some(Interface::named(&view.network(network).bridge)),
            target: Target::Accept,
            origin,
            ..Rule::default()
        };
        chains.push(Table::Nat, &keep, rule);
    }
}
