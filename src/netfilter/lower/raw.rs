//! `raw` PREROUTING, where a false source is seen before anything trusts it and where Docker 28.2
//! and newer drop what goes straight to a container's address; `nat` POSTROUTING, where a granted
//! connection keeps its source.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

use super::ways::{End, View, Way, between};
use super::{Chains, network_chain};
use crate::netfilter::rule::{Conntrack, Interface, Origin, Rule, Service, Target};
use crate::netfilter::{ChainName, Family, Table};
use crate::policy::ir::{Effect, IfName, NetworkId, Party};

pub(super) fn lower(chains: &mut Chains<'_, '_>) {
    let raw = ChainName::fixed("RAW");
    loopback(chains, &raw);
    for network in chains.view.network_ids() {
        if chains.view.network(network).antispoof {
            claimed_from_elsewhere(chains, &raw, network);
        }
    }
    for network in chains.view.network_ids() {
        if chains.view.network(network).antispoof {
            sources_of(chains, &raw, network);
        }
    }
    let mut between_networks = false;
    for network in chains.view.network_ids() {
        routed(chains, &raw, Way::In(network), network);
        between_networks |= routed(chains, &raw, Way::Peer(network), network);
    }
    if between_networks {
        keep_sources(chains);
    }
}

fn lo(not: bool) -> Interface {
    Interface {
        name: IfName("lo".to_owned()),
        not,
    }
}

/// Engines up to 27 answer on 127.0.0.1 to neighbours; see moby#45610. What the host sends to
/// itself is not looked at any further: its bridge addresses are in the subnets.
fn loopback(chains: &mut Chains<'_, '_>, raw: &ChainName) {
    if chains.view.family == Family::V4 {
        let destination = Some(IpNet::V4(Ipv4Net::new_assert(
            Ipv4Addr::new(127, 0, 0, 0),
            8,
        )));
        chains.push(
            Table::Raw,
            raw,
            Rule {
                destination,
                input: Some(lo(true)),
                ..Rule::default()
            },
        );
    }
    let own = Rule {
        input: Some(lo(false)),
        target: Target::Return,
        ..Rule::default()
    };
    chains.push(Table::Raw, raw, own);
}

/// Nobody but the network's own bridge may send with its addresses.
fn claimed_from_elsewhere(chains: &mut Chains<'_, '_>, raw: &ChainName, network: NetworkId) {
    let view = chains.view;
    let says = "addresses of this network come from its own bridge only";
    for subnet in view.subnets(network) {
        let target = chains.drop_target(Table::Raw, network);
        let input = Some(Interface {
            name: view.network(network).bridge.clone(),
            not: true,
        });
        let origin = Some(view.say_network(network, says));
        let rule = Rule {
            source: Some(subnet),
            input,
            target,
            origin,
            ..Rule::default()
        };
        chains.push(Table::Raw, raw, rule);
    }
}

/// A network's bridge may send with the network's addresses only, and with those that a container
/// uses before it has one.
fn sources_of(chains: &mut Chains<'_, '_>, raw: &ChainName, network: NetworkId) {
    let view = chains.view;
    let chain = network_chain(view, network, "src");
    let says = "this network's bridge sends with its own addresses only";
    let origin = || Some(view.say_network(network, says));
    let input = Some(Interface {
        name: view.network(network).bridge.clone(),
        not: false,
    });
    let target = Target::Jump(chain.clone());
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
    for source in view.senders(network) {
        let rule = Rule {
            source: Some(source),
            target: Target::Return,
            ..Rule::default()
        };
        chains.push(Table::Raw, &chain, rule);
    }
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

/// Lets routed access that the policy allows past the engine's drops in this table; the gate
/// decides about it afterwards. Returns true when there is any.
fn routed(chains: &mut Chains<'_, '_>, raw: &ChainName, way: Way, network: NetworkId) -> bool {
    let mut any = false;
    for (ends, service, origin) in openings(chains.view, way, network) {
        any = true;
        let (source, target) = ends;
        let rule = Rule {
            service,
            target: Target::Accept,
            ..between(&source, &target)
        };
        chains.push(
            Table::Raw,
            raw,
            Rule {
                origin: Some(origin.clone()),
                ..rule
            },
        );
        if matches!(way, Way::Peer(_)) {
            let rule = reply(chains.view, network, &source, &target, service);
            chains.push(
                Table::Raw,
                raw,
                Rule {
                    origin: Some(origin),
                    ..rule
                },
            );
        }
    }
    any
}

/// The answer of a container of `network` to one of another network goes to a container's address
/// as well, so it needs its own way past the engine's drop. The gate lets only replies through.
fn reply(
    view: &View<'_>,
    network: NetworkId,
    source: &End,
    target: &End,
    service: Option<Service>,
) -> Rule {
    let back = End {
        interface: Some(view.network(network).bridge.clone()),
        net: target.net,
    };
    let service = match service {
        Some(Service::To(protocol, ports)) => Some(Service::From(protocol, ports)),
        // Which type answers which is the gate's to know.
        Some(Service::Icmp(_)) => Some(Service::All(crate::policy::ir::Protocol::Icmp)),
        other => other,
    };
    let to = End {
        interface: None,
        net: source.net,
    };
    Rule {
        service,
        target: Target::Accept,
        ..between(&back, &to)
    }
}

type Opening = ((End, End), Option<Service>, Origin);

/// Every pair of ends that statements open without the help of a published port.
fn openings(view: &View<'_>, way: Way, network: NetworkId) -> Vec<Opening> {
    let mut all = Vec::new();
    for access in view
        .policy
        .accesses
        .iter()
        .filter(|access| access.effect == Effect::Allow)
    {
        for &right in &access.right {
            let targets = view.addressed(&view.targets(right, way), network);
            for service in view.services(&access.services) {
                for &left in &access.left {
                    let origin = || view.say_access(access, left, right, service);
                    join(
                        &mut all,
                        &view.sources(left, way),
                        &targets,
                        service,
                        origin,
                    );
                }
            }
        }
    }
    for &container in view.residents(network) {
        for exposure in &view.container(container).exposures {
            if exposure.published.is_none() {
                let targets = view.targets(Party::Container(container), way);
                let service = Some(Service::To(exposure.protocol, exposure.ports));
                for &from in &exposure.from {
                    let origin = || view.say_exposure(from, container, exposure);
                    join(
                        &mut all,
                        &view.sources(from, way),
                        &targets,
                        service,
                        origin,
                    );
                }
            }
        }
    }
    all
}

fn join(
    all: &mut Vec<Opening>,
    sources: &[End],
    targets: &[End],
    service: Option<Service>,
    origin: impl Fn() -> Origin,
) {
    for source in sources {
        for target in targets {
            all.push(((source.clone(), target.clone()), service, origin()));
        }
    }
}

/// A container reaches another network with its own address, not the host's. Published ports are
/// left out: there the engine's masquerade brings the answer back.
fn keep_sources(chains: &mut Chains<'_, '_>) {
    let nat = ChainName::fixed("NAT");
    let view = chains.view;
    for network in view.network_ids() {
        for subnet in view.subnets(network) {
            let says = "connections to other networks keep their source";
            let rule = Rule {
                source: Some(subnet),
                conntrack: Some(Conntrack::NotDnat),
                mark: true,
                target: Target::Accept,
                origin: Some(view.say_network(network, says)),
                ..Rule::default()
            };
            chains.push(Table::Nat, &nat, rule);
        }
    }
}
