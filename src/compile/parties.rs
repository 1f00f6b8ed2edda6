//! The parties of a policy in its manifest, and as much of the policy as they tell.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use thiserror::Error;

use crate::artifact::{AttachmentEntry, ContainerEntry, Manifest, NetworkEntry, Parties};
use crate::net::PortRange;
use crate::netfilter::{Rule, Ruleset, Target};
use crate::policy;
use crate::policy::ir::{
    Attachment, Backend, Container, Engine, Exposure, Host, IfName, Limits, Network, NetworkId,
    Others, Policy, Protocol, Published, Undeclared,
};
use crate::source::{SourceMap, Span};

/// A word of a manifest that no tidegate has written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the manifest's {what} `{word}` is not understood")]
pub struct RecoverError {
    what: &'static str,
    word: String,
}

/// Most ports that containers of a bundle publish: a rule of the engine's for each.
const MAX_PORTS: u32 = 1 << 20;

fn unknown(what: &'static str, word: &str) -> RecoverError {
    let word = word.to_owned();
    RecoverError { what, word }
}

pub(super) fn parties(policy: &Policy, rulesets: &[Ruleset]) -> Parties {
    let named = named(rulesets);
    let container = |container: &Container| ContainerEntry {
        name: container.name.clone(),
        networks: attachments(container, policy, &named),
        ports: container.exposures.iter().filter_map(port).collect(),
    };
    let uplinks = policy.host.uplinks.iter();
    Parties {
        uplinks: uplinks.map(|name| name.0.clone()).collect(),
        networks: policy.networks.iter().map(network).collect(),
        containers: policy.containers.iter().map(container).collect(),
        sets: policy.trusts.iter().map(|it| it.name.clone()).collect(),
        openings: Vec::new(),
    }
}

fn network(network: &Network) -> NetworkEntry {
    NetworkEntry {
        name: network.name.clone(),
        bridge: network.bridge.0.clone(),
        local: network.local,
        icc: network.icc,
        subnets: network.subnets.clone(),
    }
}

/// An address of the engine's choice that no rule names says nothing, and would make another version of
/// the same rules whenever it changes.
fn attachments(
    container: &Container,
    policy: &Policy,
    named: &BTreeSet<IpAddr>,
) -> Vec<AttachmentEntry> {
    let attachment = |at: &Attachment| {
        let addresses = at.addresses.iter().copied();
        Some(AttachmentEntry {
            network: policy.networks.get(at.network.0)?.name.clone(),
            addresses: addresses
                .filter(|address| at.fixed || named.contains(address))
                .collect(),
        })
    };
    let attachments = container.attachments.iter();
    attachments.filter_map(attachment).collect()
}

/// Returns every single address in the rules.
fn named(rulesets: &[Ruleset]) -> BTreeSet<IpAddr> {
    let rules = rulesets.iter().flat_map(|rules| rules.chains.values());
    let single = |net: IpNet| (net.prefix_len() == net.max_prefix_len()).then_some(net.addr());
    let of_rule = |rule: &Rule| {
        let target = match rule.target {
            Target::Dnat { address, .. } => Some(address),
            _ => None,
        };
        let sides = [rule.source, rule.destination].map(|net| net.and_then(single));
        sides.into_iter().flatten().chain(target)
    };
    rules.flatten().flat_map(of_rule).collect()
}

/// Writes a published port as Docker does.
fn port(exposure: &Exposure) -> Option<String> {
    let host = exposure.published.as_ref()?;
    let address = match host.address {
        None => String::new(),
        // Brackets and colon are those of a socket's address.
        Some(address) => SocketAddr::new(address, 0)
            .to_string()
            .trim_end_matches('0')
            .to_owned(),
    };
    let protocol = word(exposure.protocol);
    Some(format!(
        "{address}{}->{}/{protocol}",
        host.ports, exposure.ports
    ))
}

const PROTOCOLS: [(&str, Protocol); 4] = [
    ("icmp", Protocol::Icmp),
    ("sctp", Protocol::Sctp),
    ("tcp", Protocol::Tcp),
    ("udp", Protocol::Udp),
];

fn word(protocol: Protocol) -> &'static str {
    let known = PROTOCOLS.iter().find(|(_, known)| *known == protocol);
    known.map_or("", |(word, _)| word)
}

/// Returns as much of a policy as its bundle tells: its parties and its engine, and nothing of who
/// may reach whom, which the rules say.
pub fn recovered(manifest: &Manifest, parties: &Parties) -> Result<Policy, RecoverError> {
    let span = nowhere();
    let networks = parties.networks.iter();
    let containers = parties.containers.iter();
    let containers: Vec<Container> = containers
        .map(|it| container_of(it, &parties.networks, span))
        .collect::<Result<_, _>>()?;
    check_size(&containers)?;
    Ok(Policy {
        host: host(manifest, parties, span)?,
        networks: networks.map(|it| network_of(it, span)).collect(),
        containers,
        trusts: Vec::new(),
        accesses: Vec::new(),
        expectations: Vec::new(),
        names: BTreeMap::new(),
        undeclared: Undeclared::default(),
    })
}

/// A manifest keeps no places in texts.
fn nowhere() -> Span {
    Span {
        source: SourceMap::default().add("", ""),
        start: 0,
        end: 0,
    }
}

fn check_size(containers: &[Container]) -> Result<(), RecoverError> {
    let exposures = containers.iter().flat_map(|it| &it.exposures);
    let add = |sum: u32, exposure: &Exposure| sum.checked_add(exposure.ports.count());
    let count = exposures.into_iter().try_fold(0, add);
    match count.filter(|count| *count <= MAX_PORTS) {
        Some(_) => Ok(()),
        None => Err(unknown("number of ports", "more than a million")),
    }
}

fn host(manifest: &Manifest, parties: &Parties, span: Span) -> Result<Host, RecoverError> {
    let uplinks = parties.uplinks.iter().cloned();
    Ok(Host {
        name: manifest.host.clone(),
        engine: engine(&manifest.engine, span)?,
        uplinks: uplinks.map(IfName).collect(),
        forwarding: None,
        forward: None,
        mark: 0,
        routes: Vec::new(),
        sysctls: Vec::new(),
        log_denied: None,
        others: Others::Leave,
    })
}

/// Reads what the manifest says of the engine; `super::engine` writes it.
fn engine(text: &str, span: Span) -> Result<Engine, RecoverError> {
    let bad = || unknown("engine", text);
    let mut words = text.split(' ');
    match words.next() {
        Some("none") if text == "none" => return Ok(Engine::None(span)),
        Some("podman") if text == "podman" => return Ok(Engine::Podman),
        Some("docker") => {}
        _ => return Err(bad()),
    }
    let (mut release, mut backend) = (None, Backend::Iptables);
    for word in words {
        match word {
            "nftables" => backend = Backend::Nftables,
            version => release = Some(policy::release(version).ok_or_else(bad)?),
        }
    }
    Ok(Engine::Docker { release, backend })
}

fn network_of(entry: &NetworkEntry, span: Span) -> Network {
    Network {
        name: entry.name.clone(),
        local: entry.local,
        bridge: IfName(entry.bridge.clone()),
        subnets: entry.subnets.iter().map(IpNet::trunc).collect(),
        icc: entry.icc,
        egress: true,
        host_access: true,
        antispoof: true,
        internal: false,
        span,
    }
}

fn container_of(
    entry: &ContainerEntry,
    networks: &[NetworkEntry],
    span: Span,
) -> Result<Container, RecoverError> {
    let attachment = |at: &AttachmentEntry| {
        let place = networks.iter().position(|it| it.name == at.network);
        let id = place.ok_or_else(|| unknown("network", &at.network))?;
        Ok(Attachment {
            network: NetworkId(id),
            addresses: at.addresses.clone(),
            fixed: true,
        })
    };
    let exposure = |text: &String| exposure(text, span).ok_or_else(|| unknown("port", text));
    Ok(Container {
        name: entry.name.clone(),
        attachments: entry
            .networks
            .iter()
            .map(attachment)
            .collect::<Result<_, _>>()?,
        exposures: entry.ports.iter().map(exposure).collect::<Result<_, _>>()?,
        span,
    })
}

/// Reads what `port` writes.
fn exposure(text: &str, span: Span) -> Option<Exposure> {
    let (outer, inner) = text.split_once("->")?;
    let (inner, protocol) = inner.split_once('/')?;
    let (address, outer) = match outer.rsplit_once(':') {
        None => (None, outer),
        Some((address, ports)) => {
            let address = address.trim_matches(['[', ']']).parse::<IpAddr>().ok()?;
            (Some(address), ports)
        }
    };
    let (ports, outer) = (range(inner)?, range(outer)?);
    let (_, protocol) = PROTOCOLS.iter().find(|(word, _)| *word == protocol)?;
    let published = Published {
        address,
        ports: outer,
    };
    (ports.count() == outer.count()).then_some(Exposure {
        protocol: *protocol,
        ports,
        published: Some(published),
        from: Vec::new(),
        limits: Limits::default(),
        log: false,
        span,
    })
}

fn range(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(PortRange { first, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_they_are_written() {
        let span = nowhere();
        for text in [
            "8080->80/tcp",
            "127.0.0.1:6000-6009->5000-5009/udp",
            "[2001:db8::1]:100->100/sctp",
        ] {
            let read = exposure(text, span).unwrap();
            assert_eq!(port(&read).as_deref(), Some(text));
        }
        for text in [
            "",
            "80/tcp",
            "1-3->1-2/tcp",
            "3-1->3-1/tcp",
            "1->1/ip",
            "x:1->1/tcp",
            "1->65536/tcp",
        ] {
            assert!(exposure(text, span).is_none(), "{text}");
        }
    }

    #[test]
    fn more_ports_than_rules_are_refused() {
        let span = nowhere();
        let entry = |count: usize| ContainerEntry {
            name: "web".to_owned(),
            networks: Vec::new(),
            ports: vec!["1-65535->1-65535/tcp".to_owned(); count],
        };
        let size = |count: usize| check_size(&[container_of(&entry(count), &[], span).unwrap()]);
        assert!(size(16).is_ok() && size(17).is_err() && size(70_000).is_err());
    }

    #[test]
    fn engines_are_read_as_they_are_written() {
        let span = nowhere();
        for text in [
            "docker",
            "docker 17.06",
            "docker 29.0 nftables",
            "none",
            "podman",
        ] {
            let read = engine(text, span).unwrap();
            assert_eq!(super::super::engine(read), text);
        }
        for text in ["", "podman 5", "docker x", "none 1.2"] {
            assert!(engine(text, span).is_err(), "{text}");
        }
    }
}
