//! Tables of packets: who, to what, and whether it must pass.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use tidegate::policy::ir::{NetworkId, Policy, Protocol};

/// `flows.yaml` of a case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The policy's path from the root of the repository.
    pub policy: String,
    /// The host's name, where the policy has several.
    pub host: Option<String>,
    /// `FROM -> TO open|closed`: FROM is a container, `host` or an address on the uplink's side; TO
    /// is `host:PORT/PROTO` or `ADDRESS:PORT/PROTO`.
    pub flows: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Flow {
    pub text: String,
    pub from: Origin,
    pub to: SocketAddr,
    /// The port is the host's.
    pub at_host: bool,
    pub protocol: Protocol,
    pub open: bool,
}

#[derive(Debug, Clone)]
pub enum Origin {
    Container(usize),
    Host,
    Outside(IpAddr),
}

/// The host's own addresses on its uplink.
pub const HOST: [&str; 2] = ["192.0.2.1", "2001:db8:ffff::1"];

pub fn read(line: &str, policy: &Policy) -> Flow {
    let bad = || panic!("{line}: want FROM -> TO open|closed");
    let (from, rest) = line.split_once(" -> ").unwrap_or_else(bad);
    let (to, verdict) = rest.rsplit_once(' ').unwrap_or_else(bad);
    let (to, protocol) = to.rsplit_once('/').unwrap_or_else(bad);
    let (address, port) = to.rsplit_once(':').unwrap_or_else(bad);
    let from = origin(from, policy);
    let at_host = ["host", "host6", "127.0.0.1"].contains(&address);
    let address = match address {
        "host" => HOST[0],
        "host6" => HOST[1],
        other => other.trim_matches(['[', ']']),
    };
    let address: IpAddr = address
        .parse()
        .unwrap_or_else(|_| bad_address(line, address));
    Flow {
        text: line.to_owned(),
        from,
        to: SocketAddr::new(address, port.parse().expect("a port")),
        at_host,
        protocol: match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => bad_address(line, protocol),
        },
        open: match verdict {
            "open" => true,
            "closed" => false,
            _ => bad_address(line, verdict),
        },
    }
}

fn bad_address<T>(line: &str, word: &str) -> T {
    panic!("{line}: {word} is not understood")
}

fn origin(name: &str, policy: &Policy) -> Origin {
    if let Ok(address) = name.parse() {
        return Origin::Outside(address);
    }
    if name == "host" {
        return Origin::Host;
    }
    let place = policy
        .containers
        .iter()
        .position(|container| container.name == name);
    Origin::Container(place.unwrap_or_else(|| panic!("{name} is no container")))
}

/// Returns a container's address in a network: the policy's, or one that an engine might pick.
pub fn address_of(
    policy: &Policy,
    container: usize,
    network: NetworkId,
    v6: bool,
) -> Option<IpAddr> {
    let fixed = policy.containers[container]
        .addresses_on(network)
        .find(|a| a.is_ipv6() == v6);
    fixed.or_else(|| {
        let mut subnets = policy.networks[network.0].subnets.iter();
        let subnet = subnets.find(|subnet| subnet.addr().is_ipv6() == v6)?;
        let offset = 200 + container as u32;
        Some(match subnet.network() {
            IpAddr::V4(base) => IpAddr::V4((u32::from(base) + offset).into()),
            IpAddr::V6(base) => IpAddr::V6((u128::from(base) + u128::from(offset)).into()),
        })
    })
}

/// Returns the network by which a container reaches an address: one that both are on, else the
/// first, whose gateway is its default route.
pub fn network_towards(policy: &Policy, container: usize, to: IpAddr) -> NetworkId {
    let attachments = &policy.containers[container].attachments;
    let shared = attachments.iter().find(|at| {
        policy.networks[at.network.0]
            .subnets
            .iter()
            .any(|subnet| subnet.contains(&to))
    });
    shared.unwrap_or(&attachments[0]).network
}

/// Returns a policy in which every container has the addresses that an engine might pick.
pub fn with_addresses(policy: &Policy) -> Policy {
    let mut filled = policy.clone();
    for (id, container) in filled.containers.iter_mut().enumerate() {
        for at in &mut container.attachments {
            let both = [false, true].map(|v6| address_of(policy, id, at.network, v6));
            at.addresses = both.into_iter().flatten().collect();
        }
    }
    filled
}
