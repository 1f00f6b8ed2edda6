//! The tables that Docker 29 writes with `--firewall-backend=nftables`, told to accept our mark and
//! not to drop direct access. They stand in for an engine that Debian has no package of; what they
//! say is what 29.7 wrote.

use std::fmt::Write;
use std::net::IpAddr;

use tidegate::policy::ir::{Exposure, Network, NetworkId, Policy};

use super::table::address_of;

/// Returns a file for nft(8) with the tables of both families.
pub fn rules(policy: &Policy) -> String {
    [false, true].map(|v6| table(policy, v6)).concat()
}

fn table(policy: &Policy, v6: bool) -> String {
    let family = if v6 { "ip6" } else { "ip" };
    let mut text = format!("table {family} docker-bridges {{\n");
    for (network, id) in local(policy) {
        text.push_str(&into(policy, network, id, v6));
        text.push_str(&out(network));
    }
    text.push_str(&base(policy, v6));
    text + "}\n"
}

fn into(policy: &Policy, network: &Network, id: NetworkId, v6: bool) -> String {
    let (bridge, mark) = (&network.bridge.0, policy.host.mark);
    let icc = if network.icc { "accept" } else { "drop" };
    let mut text = format!(
        "chain in_{bridge} {{\nct state established,related accept\n\
         meta mark and {mark:#x} == {mark:#x} accept\niifname {bridge} {icc}\n"
    );
    for (address, exposure) in published(policy, id, v6) {
        let (daddr, protocol) = (destination(address), protocol(exposure));
        let port = exposure.ports.first;
        let _ = writeln!(text, "{daddr} {protocol} dport {port} accept");
    }
    text + "drop\n}\n"
}

fn out(network: &Network) -> String {
    let bridge = &network.bridge.0;
    format!("chain out_{bridge} {{\nct state established,related accept\naccept\n}}\n")
}

/// The chains that packets enter by.
fn base(policy: &Policy, v6: bool) -> String {
    let jumps = |side: &str, part: &str| {
        let jump = |network: &Network| format!("{side} {0} jump {part}_{0}\n", network.bridge.0);
        local(policy)
            .map(|(network, _)| jump(network))
            .collect::<String>()
    };
    format!(
        "chain forward {{\ntype filter hook forward priority filter; policy accept;\n{}{}}}\n\
         chain pre {{\ntype nat hook prerouting priority dstnat; policy accept;\n{}}}\n\
         chain post {{\ntype nat hook postrouting priority srcnat; policy accept;\n{}}}\n",
        jumps("oifname", "in"),
        jumps("iifname", "out"),
        dnat(policy, v6),
        masquerade(policy, v6),
    )
}

fn dnat(policy: &Policy, v6: bool) -> String {
    let mut text = String::new();
    for (network, id) in local(policy) {
        let bridge = &network.bridge.0;
        for (address, exposure) in published(policy, id, v6) {
            let Some(host) = &exposure.published else {
                continue;
            };
            let to = host.address.map(destination).unwrap_or_default();
            let literal = match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            };
            let _ = writeln!(
                text,
                "fib daddr type local iifname != {bridge} {to} {} dport {} dnat to {literal}:{}",
                protocol(exposure),
                host.ports.first,
                exposure.ports.first
            );
        }
    }
    text
}

fn masquerade(policy: &Policy, v6: bool) -> String {
    let mut text = String::new();
    let source = if v6 { "ip6 saddr" } else { "ip saddr" };
    for network in policy.networks.iter().filter(|network| network.local) {
        let bridge = &network.bridge.0;
        let subnets = network.subnets.iter();
        for subnet in subnets.filter(|subnet| subnet.addr().is_ipv6() == v6) {
            let _ = writeln!(text, "oifname != {bridge} {source} {subnet} masquerade");
        }
    }
    text
}

fn local(policy: &Policy) -> impl Iterator<Item = (&Network, NetworkId)> {
    let networks = policy.networks.iter().zip((0..).map(NetworkId));
    networks.filter(|(network, _)| network.local)
}

/// Returns the published exposures of the containers that are on a network first, with the address
/// behind each.
fn published(policy: &Policy, id: NetworkId, v6: bool) -> Vec<(IpAddr, &Exposure)> {
    let mut found = Vec::new();
    for (number, container) in policy.containers.iter().enumerate() {
        let address = address_of(policy, number, id, v6);
        let Some(address) = address.filter(|_| container.attachments[0].network == id) else {
            continue;
        };
        let here = |exposure: &&Exposure| {
            let host = exposure.published.as_ref();
            host.is_some_and(|host| host.address.is_none_or(|at| at.is_ipv6() == v6))
        };
        found.extend(
            container
                .exposures
                .iter()
                .filter(here)
                .map(|it| (address, it)),
        );
    }
    found
}

fn destination(address: IpAddr) -> String {
    let family = if address.is_ipv6() { "ip6" } else { "ip" };
    format!("{family} daddr {address}")
}

fn protocol(exposure: &Exposure) -> String {
    format!("{:?}", exposure.protocol).to_lowercase()
}
