//! `mangle` FORWARD: the policy itself; `filter`, where the hook is: what carries its grant.

use super::ways::{End, View, Way, ports_of};
use super::{Chains, limits, meets_policy, network_chain, others, published_key};
use crate::netfilter::rule::{Conntrack, Interface, Rule, Service, Target};
use crate::netfilter::{ChainName, Family, Table};
use crate::policy::ir::{Access, ContainerId, Effect, Exposure, NetworkId, Party, Protocol};

/// `ICMPv6` types that neighbours on one bridge cannot do without: neighbour solicitation and
/// advertisement (RFC 4861). Connection tracking does not follow them.
const NEIGHBOUR_DISCOVERY: [u8; 2] = [135, 136];

pub(super) fn lower(chains: &mut Chains<'_, '_>) {
    gate(chains);
    inside(chains);
    for network in chains.view.network_ids() {
        within(chains, network);
        into(chains, Way::In(network));
        if chains.view.has_peers() {
            into(chains, Way::Peer(network));
        }
        out(chains, Way::Out(network), network);
    }
    far(chains);
    // Docker's nftables backend accepts by the mark itself, in a table of its own.
    if !chains.view.policy.host.engine.is_nftables() {
        pass(chains);
    }
}

/// The entry. Replies pass first, so that a new connection pays for one look at its state.
fn gate(chains: &mut Chains<'_, '_>) {
    let (gate, known) = (ChainName::fixed("GATE"), ChainName::fixed("KNOWN"));
    // Nobody but this chain may have set the bit. Hardly anybody has, and a look costs less than a change.
    let forged = Rule {
        mark: true,
        target: Target::ClearMark,
        ..Rule::default()
    };
    chains.push(Table::Mangle, &gate, forged);
    let reply = Rule {
        conntrack: Some(Conntrack::Known),
        target: Target::Goto(known.clone()),
        ..Rule::default()
    };
    chains.push(Table::Mangle, &gate, reply);
    // Granted ones carry the grant again: engines from 17.06 to 28 isolate networks before they ask the state.
    let granted = Rule {
        connmark: true,
        target: Target::SetMark,
        ..Rule::default()
    };
    chains.push(Table::Mangle, &known, granted);
    for network in chains.view.network_ids() {
        let ends = (Some(on(chains.view, network)), None);
        let inside = ChainName::fixed("INSIDE");
        dispatch(chains, &gate, network, ends, inside);
    }
    to_far_chain(chains, &gate, "FAR");
    for network in chains.view.network_ids() {
        let ends = (None, Some(on(chains.view, network)));
        let target = network_chain(chains.view, network, "in");
        dispatch(chains, &gate, network, ends, target);
    }
    others::forwarded(chains, &gate);
}

/// Sends what comes from other hosts' networks, or goes to them, to a chain of its own. A host without
/// networks has nothing to say about them.
fn to_far_chain(chains: &mut Chains<'_, '_>, chain: &ChainName, part: &str) {
    let view = chains.view;
    if view.network_ids().next().is_none() {
        return;
    }
    for (network, subnet) in view.far() {
        let net = Some(subnet);
        let (source, destination) = if part == "FAR" {
            (net, None)
        } else {
            (None, net)
        };
        let rule = Rule {
            source,
            destination,
            target: Target::Goto(ChainName::fixed(part)),
            origin: Some(meets_policy(view, network)),
            ..Rule::default()
        };
        chains.push(Table::Mangle, chain, rule);
    }
}

/// Between this host's networks and those of other hosts, which addresses alone tell.
fn far(chains: &mut Chains<'_, '_>) {
    let view = chains.view;
    if view.far().next().is_none() || view.network_ids().next().is_none() {
        return;
    }
    let (far, away) = (ChainName::fixed("FAR"), ChainName::fixed("AWAY"));
    for network in view.network_ids() {
        let bridge = || Some(on(view, network));
        let chain = |part| network_chain(view, network, part);
        dispatch(chains, &far, network, (None, bridge()), chain("far"));
        dispatch(chains, &away, network, (bridge(), None), chain("away"));
    }
    others::forwarded(chains, &far);
    for network in view.network_ids() {
        into(chains, Way::Far(network));
        out(chains, Way::Away(network), network);
    }
}

/// What comes from declared networks: to the same one, to another, or out.
fn inside(chains: &mut Chains<'_, '_>) {
    let (inside, view) = (ChainName::fixed("INSIDE"), chains.view);
    let bridge = |network| Some(on(view, network));
    let chain = |network, part| network_chain(view, network, part);
    for network in view.network_ids() {
        let ends = (bridge(network), bridge(network));
        dispatch(chains, &inside, network, ends, chain(network, "icc"));
    }
    if view.has_peers() {
        for network in view.network_ids() {
            let ends = (None, bridge(network));
            dispatch(chains, &inside, network, ends, chain(network, "peer"));
        }
    }
    to_far_chain(chains, &inside, "AWAY");
    for network in view.network_ids() {
        let ends = (bridge(network), None);
        dispatch(chains, &inside, network, ends, chain(network, "out"));
    }
}

/// Sends what comes or goes by a network's bridge to the chain that decides about it.
fn dispatch(
    chains: &mut Chains<'_, '_>,
    chain: &ChainName,
    network: NetworkId,
    (input, output): (Option<Interface>, Option<Interface>),
    target: ChainName,
) {
    let rule = Rule {
        input,
        output,
        target: Target::Goto(target),
        origin: Some(meets_policy(chains.view, network)),
        ..Rule::default()
    };
    chains.push(Table::Mangle, chain, rule);
}

fn on(view: &View<'_>, network: NetworkId) -> Interface {
    Interface::named(&view.network(network).bridge)
}

/// Between containers of one bridge.
fn within(chains: &mut Chains<'_, '_>, network: NetworkId) {
    let (view, way) = (chains.view, Way::Icc(network));
    let chain = network_chain(view, network, "icc");
    if view.family == Family::V6 {
        for kind in NEIGHBOUR_DISCOVERY {
            for target in [Target::SetMark, Target::Return] {
                let service = Some(Service::Icmp(kind));
                let rule = Rule {
                    service,
                    target,
                    ..Rule::default()
                };
                chains.push(Table::Mangle, &chain, rule);
            }
        }
    }
    denies(chains, &chain, way);
    if view.network(network).icc {
        let says = "containers of this network may reach each other";
        let origin = Some(view.say_network(network, says));
        let rule = Rule {
            target: Target::SetMark,
            origin,
            ..Rule::default()
        };
        chains.push(Table::Mangle, &chain, rule);
    } else {
        permits(chains, &chain, way);
    }
    let says = "containers of this network reach each other by link or allow only";
    close(chains, &chain, network, says);
}

/// Into a network, from outside it.
fn into(chains: &mut Chains<'_, '_>, way: Way) {
    let (Some(network), view) = (way.target(), chains.view) else {
        return;
    };
    let (part, says) = match way {
        Way::Peer(_) => (
            "peer",
            "other networks reach this one only as the policy says",
        ),
        Way::Far(_) => (
            "far",
            "other hosts' networks reach this one only as the policy says",
        ),
        _ => ("in", "outside reaches this network only as the policy says"),
    };
    let chain = network_chain(view, network, part);
    denies(chains, &chain, way);
    permits(chains, &chain, way);
    close(chains, &chain, network, says);
}

/// What is granted passes, and its replies will; the rest ends here.
fn close(chains: &mut Chains<'_, '_>, chain: &ChainName, network: NetworkId, says: &str) {
    chains.settle(chain);
    end(chains, chain, network, says);
}

fn end(chains: &mut Chains<'_, '_>, chain: &ChainName, network: NetworkId, says: &str) {
    let target = chains.drop_target(Table::Mangle, network);
    let rule = Rule {
        target,
        origin: Some(chains.view.say_network(network, says)),
        ..Rule::default()
    };
    chains.push(Table::Mangle, chain, rule);
}

/// Out of a network, to what the policy does not declare or declares on another host.
fn out(chains: &mut Chains<'_, '_>, way: Way, network: NetworkId) {
    let view = chains.view;
    let part = if matches!(way, Way::Away(_)) {
        "away"
    } else {
        "out"
    };
    let chain = network_chain(view, network, part);
    denies(chains, &chain, way);
    if view.network(network).egress {
        let origin = Some(view.say_network(network, "containers of this network may go out"));
        if granted_egress(view) {
            let rule = |target, origin| Rule {
                target,
                origin,
                ..Rule::default()
            };
            chains.push(Table::Mangle, &chain, rule(Target::SetMark, origin.clone()));
            chains.push(Table::Mangle, &chain, rule(Target::SaveMark, origin));
        } else {
            let rule = Rule {
                target: Target::Return,
                origin,
                ..Rule::default()
            };
            chains.push(Table::Mangle, &chain, rule);
        }
        return;
    }
    let says = "containers of this network go out only as the policy says";
    let granted = view.grants_all();
    let verdict = if granted {
        Target::SetMark
    } else {
        Target::Return
    };
    for access in allows(view) {
        accesses(chains, &chain, way, access, &verdict);
    }
    offered_afar(chains, &chain, way, &verdict);
    if granted {
        close(chains, &chain, network, says);
    } else {
        end(chains, &chain, network, says);
    }
}

/// What containers of other hosts offer to a network's own is open on this side, too.
fn offered_afar(chains: &mut Chains<'_, '_>, chain: &ChainName, way: Way, verdict: &Target) {
    let (Way::Away(_), view) = (way, chains.view) else {
        return;
    };
    for (id, container) in (0..).map(ContainerId).zip(&view.policy.containers) {
        for exposure in &container.exposures {
            if exposure.published.is_none() {
                let rules = view.direct_rules(id, exposure, way);
                chains.push_all(Table::Mangle, chain, rules, verdict);
            }
        }
    }
}

/// Where no engine has a rule that lets anything out, the policy's own word must do.
fn granted_egress(view: &View<'_>) -> bool {
    view.is_unhelped() || view.grants_all()
}

fn allows<'a>(view: &View<'a>) -> impl Iterator<Item = &'a Access> + use<'a> {
    view.policy
        .accesses
        .iter()
        .filter(|access| access.effect == Effect::Allow)
}

fn denials<'a>(view: &View<'a>) -> impl Iterator<Item = &'a Access> + use<'a> {
    view.policy
        .accesses
        .iter()
        .filter(|access| access.effect == Effect::Deny)
}

fn accesses(
    chains: &mut Chains<'_, '_>,
    chain: &ChainName,
    way: Way,
    access: &Access,
    verdict: &Target,
) {
    let rules = chains.view.access_rules(access, way);
    chains.push_all(Table::Mangle, chain, rules, verdict);
}

/// Denials come before everything that opens.
fn denies(chains: &mut Chains<'_, '_>, chain: &ChainName, way: Way) {
    let network = match way {
        Way::Away(network)
        | Way::Far(network)
        | Way::Icc(network)
        | Way::In(network)
        | Way::Out(network)
        | Way::Peer(network) => network,
        Way::HostFar | Way::HostFrom(_) | Way::HostIn | Way::HostOut | Way::HostTo(_) => return,
    };
    for access in denials(chains.view) {
        let verdict = chains.drop_target(Table::Mangle, network);
        accesses(chains, chain, way, access, &verdict);
        if way.target().is_some() {
            denied_ports(chains, chain, way, network, access, &verdict);
            denied_host_ports(chains, chain, way, access, &verdict);
        }
    }
}

/// A denied container may have come back with another address; its published ports still tell it.
fn denied_ports(
    chains: &mut Chains<'_, '_>,
    chain: &ChainName,
    way: Way,
    network: NetworkId,
    access: &Access,
    verdict: &Target,
) {
    let view = chains.view;
    for &right in &access.right {
        let Party::Container(id) = right else {
            continue;
        };
        for exposure in exposures_on(view, id, network) {
            let Some(key) = published_key(exposure, view.family) else {
                continue;
            };
            for ports in ports_of(&access.services, exposure) {
                let service = Some(Service::To(exposure.protocol, ports));
                let mut rules = view.source_rules(access, right, way, &End::default(), service);
                for rule in &mut rules {
                    rule.conntrack = key.conntrack;
                }
                chains.push_all(Table::Mangle, chain, rules, verdict);
            }
        }
    }
}

/// Who is denied the host is denied its published ports: on this way they are translated, on another the
/// userland proxy has them, and the engine chooses which.
fn denied_host_ports(
    chains: &mut Chains<'_, '_>,
    chain: &ChainName,
    way: Way,
    access: &Access,
    verdict: &Target,
) {
    let view = chains.view;
    if !access.right.contains(&Party::Host) {
        return;
    }
    for service in view.services(&access.services) {
        let (service, conntrack) = match service {
            // No translation is about a message of ICMP.
            Some(Service::Icmp(_) | Service::All(Protocol::Icmp)) => continue,
            Some(Service::To(protocol, ports)) => {
                let asked = Conntrack::Published {
                    address: None,
                    ports,
                };
                (Some(Service::All(protocol)), asked)
            }
            all => (all, Conntrack::Dnat),
        };
        let mut rules = view.source_rules(access, Party::Host, way, &End::default(), service);
        for rule in &mut rules {
            rule.conntrack = Some(conntrack);
        }
        chains.push_all(Table::Mangle, chain, rules, verdict);
    }
}

fn exposures_on<'a>(view: &View<'a>, id: ContainerId, network: NetworkId) -> &'a [Exposure] {
    let container = view.container(id);
    if container.is_on(network) {
        &container.exposures
    } else {
        &[]
    }
}

/// Everything that opens a way into a network.
fn permits(chains: &mut Chains<'_, '_>, chain: &ChainName, way: Way) {
    let (Some(network), view) = (way.target(), chains.view) else {
        return;
    };
    for access in view.allows_to(network) {
        accesses(chains, chain, way, access, &Target::SetMark);
    }
    // What is alike stands together. Limits come last: what is over one of them has no other way.
    for order in [Order::Granted, Order::Published, Order::Limited] {
        // What is granted by now shall keep its grant, whatever else opens the way.
        if order == Order::Published && published_verdict(view, way) == Target::Return {
            chains.settle(chain);
        }
        for &container in view.residents(network) {
            let exposures = view.container(container).exposures.iter();
            for exposure in exposures.filter(|exposure| Order::of(exposure) == order) {
                exposed(chains, chain, way, container, exposure);
            }
        }
    }
}

/// In which order exposures open a network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Granted,
    Published,
    Limited,
}

impl Order {
    fn of(exposure: &Exposure) -> Self {
        match (exposure.limits.is_none(), &exposure.published) {
            (false, _) => Order::Limited,
            (true, Some(_)) => Order::Published,
            (true, None) => Order::Granted,
        }
    }
}

/// One exposure: published, it is told by the host's port; else by the container's address.
fn exposed(
    chains: &mut Chains<'_, '_>,
    chain: &ChainName,
    way: Way,
    container: ContainerId,
    exposure: &Exposure,
) {
    let view = chains.view;
    let (rules, verdict) = match &exposure.published {
        Some(_) => (
            view.published_rules(container, exposure, way),
            published_verdict(view, way),
        ),
        None => (view.direct_rules(container, exposure, way), Target::SetMark),
    };
    let place = (Table::Mangle, chain);
    limits::push(chains, place, (container, exposure), rules, &verdict);
}

/// From outside the engine itself lets published ports in, behind other tools' rules, so RETURN is
/// enough; between networks it does not.
fn published_verdict(view: &View<'_>, way: Way) -> Target {
    match way {
        Way::Far(_) | Way::In(_) if !view.grants_all() => Target::Return,
        _ => Target::SetMark,
    }
}

/// The only rule that accepts: what the gate granted.
fn pass(chains: &mut Chains<'_, '_>) {
    let rule = Rule {
        mark: true,
        target: Target::Accept,
        ..Rule::default()
    };
    chains.push(Table::Filter, &ChainName::fixed("PASS"), rule);
}
