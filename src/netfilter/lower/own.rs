//! `filter` OUTPUT: what the host's own processes may not reach. They may reach everything that no
//! `deny` names, so without one there is no chain.
//!
//! It comes after the DNAT of the host's own connections, so containers are told by their own
//! addresses. What a published port of the host's led to one still counts as leaving by loopback: the
//! kernel routes such a packet again and keeps telling the hook of the first interface. The userland
//! proxy is such a process too: what it serves ends here with the rest.

use super::ways::{View, Way};
use super::{Chains, meets_policy, network_chain};
use crate::netfilter::rule::{Conntrack, Interface, Rule, Service, Target};
use crate::netfilter::{ChainName, Family, Table};
use crate::policy::ir::{Access, Effect, NetworkId, Party};

pub(super) fn lower(chains: &mut Chains<'_, '_>) {
    if !chains.view.policy.accesses.iter().any(denies_host) {
        return;
    }
    let output = ChainName::fixed("OUTPUT");
    for rule in unhindered(chains.view.family) {
        chains.push(Table::Filter, &output, rule);
    }
    for network in chains.view.network_ids() {
        to_network(chains, &output, network);
    }
    for network in chains.view.network_ids() {
        led_to_network(chains, &output, network);
    }
    denials(chains, &output, Way::HostOut, None);
}

fn denies_host(access: &Access) -> bool {
    let host = |party: &Party| matches!(party, Party::Any | Party::Host);
    access.effect == Effect::Deny && access.left.iter().any(host)
}

/// What the host says to itself, replies, and the messages by which neighbours find each other (RFC
/// 4861), which connection tracking does not follow.
fn unhindered(family: Family) -> Vec<Rule> {
    let pass = |rule: Rule| Rule {
        target: Target::Return,
        ..rule
    };
    let lo = Interface::lo();
    let by_lo = Rule {
        output: Some(lo),
        ..Rule::default()
    };
    let mut rules = vec![
        pass(Rule {
            conntrack: Some(Conntrack::NotDnat),
            ..by_lo.clone()
        }),
        pass(Rule {
            to_local: true,
            ..by_lo
        }),
        pass(Rule {
            conntrack: Some(Conntrack::Known),
            ..Rule::default()
        }),
    ];
    if family == Family::V6 {
        let discovery = |kind| Rule {
            service: Some(Service::Icmp(kind)),
            ..Rule::default()
        };
        rules.extend((133..=136).map(discovery).map(pass));
    }
    rules
}

/// What goes to a network is never on its way to the outside.
fn to_network(chains: &mut Chains<'_, '_>, output: &ChainName, network: NetworkId) {
    let (view, own) = (chains.view, network_chain(chains.view, network, "own"));
    denials(chains, &own, Way::HostTo(network), Some(network));
    let bridge = Interface::named(&view.network(network).bridge);
    let rule = Rule {
        output: Some(bridge),
        target: decided(chains, own),
        origin: Some(meets_policy(view, network)),
        ..Rule::default()
    };
    chains.push(Table::Filter, output, rule);
}

/// What a translation led to a network is told by where it goes now.
fn led_to_network(chains: &mut Chains<'_, '_>, output: &ChainName, network: NetworkId) {
    let (view, own) = (chains.view, network_chain(chains.view, network, "own"));
    for subnet in view.subnets(network) {
        let rule = Rule {
            destination: Some(subnet),
            conntrack: Some(Conntrack::Dnat),
            target: decided(chains, own.clone()),
            origin: Some(meets_policy(view, network)),
            ..Rule::default()
        };
        chains.push(Table::Filter, output, rule);
    }
}

fn decided(chains: &Chains<'_, '_>, own: ChainName) -> Target {
    if chains.rules.contains_key(&(Table::Filter, own.clone())) {
        Target::Goto(own)
    } else {
        Target::Return
    }
}

fn denials(chains: &mut Chains<'_, '_>, chain: &ChainName, way: Way, network: Option<NetworkId>) {
    let view: &View<'_> = chains.view;
    for access in view
        .policy
        .accesses
        .iter()
        .filter(|access| denies_host(access))
    {
        let rules = view.access_rules(access, way);
        if !rules.is_empty() {
            let verdict = match network {
                Some(network) => chains.drop_target(Table::Filter, network),
                None => chains.others_target(Table::Filter),
            };
            chains.push_all(Table::Filter, chain, rules, &verdict);
        }
    }
}
