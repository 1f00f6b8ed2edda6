//! Translation by our own rules, against the oracle.

use tidegate::netfilter::{ConnState, Packet, Ruleset, Table, Target, walk};
use tidegate::policy::ir::Policy;

use super::{agrees, forward, oracle};

/// Sends a packet to one of the host's own addresses through our translation; one that is sent on has
/// to meet the fate that the policy says of the whole way.
pub fn leads_where_it_should(policy: &Policy, ruleset: &Ruleset, packet: &Packet) -> bool {
    let mut sent = packet.clone();
    walk(ruleset, Table::Nat, "TIDE-DNAT", &mut sent);
    let Some((address, port, network)) = oracle::translated(policy, packet) else {
        return sent.conn.translated_from.is_none();
    };
    let first = (packet.destination, packet.port);
    if sent.conn.translated_from != Some(first) || (sent.destination, sent.port) != (address, port)
    {
        return false;
    }
    sent.output.clone_from(&policy.networks[network.0].bridge.0);
    agrees(
        oracle::forwarded(policy, &sent),
        forward(ruleset, &mut sent.clone()),
    )
}

/// Whoever is asked for a published port elsewhere, in a container or on another machine, is the one
/// who is asked.
pub fn leaves_alone(policy: &Policy, ruleset: &Ruleset, packet: &Packet) -> bool {
    let exposures = policy.containers.iter().flat_map(|c| &c.exposures);
    let published = exposures.filter_map(|e| Some((e.protocol, e.published.as_ref()?)));
    let published: Vec<_> = published.collect();
    let is_host = |address| address == packet.destination;
    let mut bound = published.iter().filter_map(|(_, it)| it.address);
    if packet.output.is_empty() || bound.any(is_host) {
        return true;
    }
    published.into_iter().all(|(protocol, published)| {
        let mut asked = Packet {
            protocol,
            port: published.ports.first,
            conn: ConnState::default(),
            ..packet.clone()
        };
        walk(ruleset, Table::Nat, "TIDE-DNAT", &mut asked);
        asked.conn.translated_from.is_none()
    })
}

/// A granted connection keeps its source except where answers would not find back.
pub fn source_is_right(policy: &Policy, ruleset: &Ruleset, packet: &Packet) -> bool {
    let mut packet = packet.clone();
    packet.mark |= ruleset.grant;
    let trail = walk(ruleset, Table::Nat, "TIDE-NAT", &mut packet);
    let last = trail.matched.last().and_then(|(chain, number)| {
        let rules = ruleset.chains.get(&(Table::Nat, chain.clone()))?;
        rules.get(number - 1)
    });
    let hidden = last.is_some_and(|rule| rule.target == Target::Masquerade);
    let lo = packet.source.is_ipv4() && packet.source.is_loopback();
    lo || hidden == oracle::hides_source(policy, &packet)
}
