//! Checks on what an engine leaves to others: FORWARD's policy.

use ipnet::IpNet;

use super::facts::Facts;
use super::nftables;
use crate::deploy::is_beside_nftables;
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::netfilter::save::{ChainPolicy, Tables};
use crate::netfilter::{Family, Table};

/// Returns the families whose FORWARD drops what no rule accepts.
fn closed(facts: &Facts) -> Vec<Family> {
    let rules = facts.rules.iter();
    let closed = rules.filter(|(_, tables)| {
        let forward = tables.chain(Table::Filter, "FORWARD");
        forward.is_some_and(|chain| chain.policy == Some(ChainPolicy::Drop))
    });
    closed.map(|(family, _)| *family).collect()
}

/// Docker's nftables tables accept for themselves alone.
pub(super) fn forward(facts: &Facts) -> Vec<Finding> {
    let engine = facts.manifest.as_ref().filter(|it| is_beside_nftables(it));
    let families = closed(facts).into_iter().filter(|_| engine.is_some());
    let finding =
        |family: Family| {
            let tool = match family {
                Family::V4 => "iptables",
                Family::V6 => "ip6tables",
            };
            let seen = "FORWARD drops what Docker's nftables tables let pass";
            Finding::new(code::FORWARD_CUTS, Weight::Error, seen)
            .at(format!("{family} filter FORWARD, policy DROP"))
            .why("a packet has to pass every table: published ports, links and ways out are dead")
            .remedy(format!("{tool} -P FORWARD ACCEPT; declared networks are closed without it"))
        };
    families.map(finding).collect()
}

/// Returns true where netavark has rules about a subnet, with either of its drivers.
fn is_netavarks(facts: &Facts, subnet: &IpNet) -> bool {
    let source = format!("-s {subnet} ");
    let of_netavark = |rule: &str| rule.contains(&source) && rule.contains("-j NETAVARK");
    let chains = |tables: &Tables| {
        let mut chains = tables
            .table(Table::Nat)
            .into_iter()
            .flat_map(|it| it.chains.values());
        chains.any(|chain| chain.rules.iter().any(of_netavark))
    };
    facts.rules.values().any(chains) || nftables::names(&facts.nftables, "netavark", subnet)
}

/// podman has no rule that accepts what it publishes.
pub(super) fn podman(facts: &Facts) -> Vec<Finding> {
    let for_docker = |engine: &str| engine.split(' ').next() == Some("docker");
    let manifest = facts.manifest.as_ref();
    if !manifest.is_some_and(|it| for_docker(&it.engine)) || closed(facts).is_empty() {
        return Vec::new();
    }
    let networks = facts.parties.networks.iter().filter(|it| it.local);
    let named = networks.filter(|network| network.subnets.iter().any(|it| is_netavarks(facts, it)));
    let finding = |name: &str| {
        let seen = format!("the network {name} is podman's, and the policy is for Docker");
        Finding::new(code::PODMAN_NETWORK, Weight::Error, seen)
            .why("podman accepts no new connections to published ports, and FORWARD's policy is DROP")
            .remedy("write `engine podman` in the policy, and apply it")
    };
    named.map(|it| finding(&it.name)).collect()
}
