//! `nat` without an engine: published ports lead to their containers, and what leaves the host has
//! one of its addresses.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::Chains;
use super::raw::LOOPBACK;
use super::ways::{End, View, between};
use crate::net::PortRange;
use crate::netfilter::rule::{Conntrack, Interface, Origin, Rule, Service, Target};
use crate::netfilter::{ChainName, Family, Table};
use crate::policy::ir::{ContainerId, Exposure, NetworkId};

pub(super) fn lower(chains: &mut Chains<'_, '_>) {
    if chains.view.no_engine() {
        translate(chains);
        masquerade(chains);
    }
}

/// The way of every published port to its container, for what arrives and for the host itself.
fn translate(chains: &mut Chains<'_, '_>) {
    let (view, dnat) = (chains.view, ChainName::fixed("DNAT"));
    let mut rules = Vec::new();
    for container in view.container_ids() {
        for exposure in &view.container(container).exposures {
            rules.extend(translated(view, container, exposure));
        }
    }
    if rules.is_empty() {
        return;
    }
    if view.family == Family::V6 {
        // Nothing routes ::1 to another interface; who listens there is left to serve it.
        let rule = Rule {
            destination: Some(IpAddr::V6(Ipv6Addr::LOCALHOST).into()),
            target: Target::Return,
            ..Rule::default()
        };
        chains.push(Table::Nat, &dnat, rule);
    }
    for rule in rules {
        chains.push(Table::Nat, &dnat, rule);
    }
}

/// Returns one rule where the ports stay as they are, else one for each: of a range of targets the
/// kernel picks any port, not the one at the same place.
fn translated(view: &View<'_>, container: ContainerId, exposure: &Exposure) -> Vec<Rule> {
    let (Some(published), Some((_, address))) = (
        &exposure.published,
        view.container(container).published_at(view.family),
    ) else {
        return Vec::new();
    };
    let host = published.address.filter(|host| view.family.has(*host));
    if host != published.address {
        return Vec::new();
    }
    let target = End {
        net: host.map(Into::into),
        ..End::default()
    };
    let rule = |ports, port| Rule {
        service: Some(Service::To(exposure.protocol, ports)),
        to_local: host.is_none(),
        target: Target::Dnat { address, port },
        origin: Some(view.say_translated(container, exposure, ports)),
        ..between(&End::default(), &target)
    };
    if published.ports == exposure.ports {
        return vec![rule(published.ports, None)];
    }
    let outer = published.ports.first..=published.ports.last;
    let pairs = outer.zip(exposure.ports.first..=exposure.ports.last);
    pairs
        .map(|(first, port)| rule(PortRange { first, last: first }, Some(port)))
        .collect()
}

/// Sources come first in each rule: drift tells by them that a masquerade above the hook of this
/// chain does no harm.
fn masquerade(chains: &mut Chains<'_, '_>) {
    let nat = ChainName::fixed("NAT");
    for network in chains.view.network_ids() {
        for rule in leaving(chains.view, network) {
            chains.push(Table::Nat, &nat, rule);
        }
    }
}

/// Returns what hides sources that answers would not come back to: the host's loopback addresses,
/// neighbours of the container that a connection was translated to, and addresses of the network
/// outside the host.
fn leaving(view: &View<'_>, network: NetworkId) -> Vec<Rule> {
    let mut rules = Vec::new();
    let span = view.policy.loopback_published(network);
    if let Some(span) = span.filter(|_| view.family == Family::V4) {
        let says = "the host reaches published ports by its loopback addresses".into();
        let hidden = hide(view, network, LOOPBACK.into(), false);
        rules.push(Rule {
            origin: Some(Origin { span, says }),
            ..hidden
        });
    }
    for subnet in view.subnets(network) {
        let says = "containers of this network reach its published ports by the host's address";
        rules.push(Rule {
            conntrack: Some(Conntrack::Dnat),
            origin: Some(view.say_network(network, says)),
            ..hide(view, network, subnet, false)
        });
        let says = "containers of this network go out with the host's address";
        rules.push(Rule {
            origin: Some(view.say_network(network, says)),
            ..hide(view, network, subnet, true)
        });
    }
    rules
}

/// Returns a masquerade of what leaves by a network's bridge, or by any other interface.
fn hide(view: &View<'_>, network: NetworkId, source: IpNet, elsewhere: bool) -> Rule {
    let output = Interface {
        not: elsewhere,
        ..Interface::named(&view.network(network).bridge)
    };
    Rule {
        source: Some(source),
        output: Some(output),
        target: Target::Masquerade,
        ..Rule::default()
    }
}
