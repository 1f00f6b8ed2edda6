//! The rules that Docker writes for the networks and published ports of a policy, as its own chains
//! look after a start: those of 20.10, and of 1.12 for a policy that names a release before 17.06.
//! They stand in for an engine here, so that hundreds of packets on both iptables variants take
//! seconds; `tests/docker` runs real ones.

use std::fmt::Write;

use tidegate::policy::ir::{Network, Policy};

use super::table::address_of;

/// Returns the rules of one family for an empty machine.
pub fn rules(policy: &Policy, v6: bool) -> String {
    let subnets = |network: &Network| {
        network
            .subnets
            .iter()
            .copied()
            .filter(|subnet| subnet.addr().is_ipv6() == v6)
            .collect::<Vec<_>>()
    };
    let mut nat =
        "*nat\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n".to_owned();
    let early = !policy.host.engine.has_docker_user();
    let mut filter = start(policy).to_owned();
    for network in policy.networks.iter().filter(|network| network.local) {
        let bridge = &network.bridge.0;
        for subnet in subnets(network) {
            let _ = writeln!(
                nat,
                "-A POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE"
            );
        }
        let icc = if network.icc { "ACCEPT" } else { "DROP" };
        filter.push_str(&forward(bridge, early));
        let _ = write!(
            filter,
            "-A FORWARD -i {bridge} ! -o {bridge} -j ACCEPT\n-A FORWARD -i {bridge} -o {bridge} -j {icc}\n"
        );
        filter.push_str(&isolation(policy, bridge, early));
    }
    for network in policy.networks.iter().filter(|network| network.local) {
        let _ = writeln!(nat, "-A DOCKER -i {} -j RETURN", network.bridge.0);
    }
    for (id, container) in policy.containers.iter().enumerate() {
        for exposure in &container.exposures {
            let Some(published) = &exposure.published else {
                continue;
            };
            let network = container.attachments[0].network;
            if !policy.networks[network.0].local {
                continue;
            }
            let Some(address) = address_of(policy, id, network, v6) else {
                continue;
            };
            let bridge = &policy.networks[network.0].bridge.0;
            let protocol = format!("{:?}", exposure.protocol).to_lowercase();
            let to = published
                .address
                .map(|at| format!("-d {at} "))
                .unwrap_or_default();
            if published.address.is_some_and(|at| at.is_ipv6() != v6) {
                continue;
            }
            let literal = if v6 {
                format!("[{address}]")
            } else {
                address.to_string()
            };
            let (host, port) = (published.ports.first, exposure.ports.first);
            let _ = writeln!(
                nat,
                "-A DOCKER {to}! -i {bridge} -p {protocol} --dport {host} -j DNAT --to-destination {literal}:{port}"
            );
            let _ = writeln!(
                filter,
                "-A DOCKER -d {address} ! -i {bridge} -o {bridge} -p {protocol} --dport {port} -j ACCEPT"
            );
        }
    }
    format!("{nat}COMMIT\n{filter}COMMIT\n")
}

fn start(policy: &Policy) -> &'static str {
    if policy.host.engine.has_docker_user() {
        "*filter\n:DOCKER - [0:0]\n:DOCKER-USER - [0:0]\n:ISO-1 - [0:0]\n:ISO-2 - [0:0]\n\
         -A FORWARD -j DOCKER-USER\n-A FORWARD -j ISO-1\n-A DOCKER-USER -j RETURN\n"
    } else {
        "*filter\n:DOCKER - [0:0]\n:DOCKER-ISOLATION - [0:0]\n-A FORWARD -j DOCKER-ISOLATION\n"
    }
}

/// Up to 17.03 published ports come before replies.
fn forward(bridge: &str, early: bool) -> String {
    let known =
        format!("-A FORWARD -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n");
    let published = format!("-A FORWARD -o {bridge} -j DOCKER\n");
    if early {
        published + &known
    } else {
        known + &published
    }
}

/// Up to 18.04 there is a rule for each pair of networks.
fn isolation(policy: &Policy, bridge: &str, early: bool) -> String {
    if !early {
        return format!(
            "-A ISO-1 -i {bridge} ! -o {bridge} -j ISO-2\n-A ISO-2 -o {bridge} -j DROP\n"
        );
    }
    let mut rules = String::new();
    for other in policy.networks.iter().map(|network| &network.bridge.0) {
        if other != bridge {
            let _ = writeln!(rules, "-A DOCKER-ISOLATION -i {bridge} -o {other} -j DROP");
        }
    }
    rules
}
