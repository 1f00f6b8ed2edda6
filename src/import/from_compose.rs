//! A draft from compose files.

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net};

use super::draft::{Container, Draft, Network, Published, word};
use crate::compose::{self, Port, Project, Service};

/// Drivers whose networks are bridges of this host.
const GOVERNED: [&str; 2] = ["", "bridge"];
/// The policy's name for Docker's default bridge.
const DEFAULT: &str = "docker0";

/// Drafts a policy of a project. What no rule of a host can govern is left out, with the reason.
pub fn from_compose(project: &Project, origin: &str) -> Draft {
    let mut draft = Draft {
        origin: origin.to_owned(),
        ..Draft::default()
    };
    let used: BTreeSet<&String> = project
        .services
        .values()
        .flat_map(|service| service.networks.keys())
        .collect();
    for (key, network) in project
        .networks
        .iter()
        .filter(|(key, _)| used.contains(key))
    {
        match self::network(project, key, network) {
            Ok(network) => draft.networks.push(network),
            Err(reason) => draft.left_out.push(reason),
        }
    }
    if project
        .services
        .values()
        .any(|service| service.mode.as_deref() == Some("bridge"))
    {
        draft.networks.push(default_bridge());
    }
    for (name, service) in &project.services {
        containers(project, name, service, &mut draft);
    }
    draft
}

fn default_bridge() -> Network {
    Network {
        name: DEFAULT.to_owned(),
        engine_name: "bridge".to_owned(),
        bridge: Some("docker0".to_owned()),
        subnets: vec![IpNet::V4(Ipv4Net::new_assert([172, 17, 0, 0].into(), 16))],
        icc: true,
        note: Some("Docker's own, unless `bip` in daemon.json says otherwise".to_owned()),
        ..Network::default()
    }
}

/// Returns the policy's name for a network: that of the file, unless a container has it.
pub(super) fn network_name(project: &Project, key: &str) -> String {
    let taken = project
        .services
        .keys()
        .any(|name| project.containers(name).iter().any(|it| it == key));
    if taken {
        word(&format!("{key}-net"))
    } else {
        word(key)
    }
}

fn network(project: &Project, key: &str, network: &compose::Network) -> Result<Network, String> {
    let driver = network.driver.as_deref().unwrap_or_default();
    if !GOVERNED.contains(&driver) {
        return Err(format!(
            "the network {key}, of the driver {driver}: no rule of this host sees its packets"
        ));
    }
    Ok(Network {
        name: network_name(project, key),
        engine_name: network.name.clone(),
        bridge: network.bridge.clone(),
        subnets: network.subnets.clone(),
        icc: network.icc,
        internal: network.internal,
        note: None,
    })
}

fn containers(project: &Project, name: &str, service: &Service, draft: &mut Draft) {
    let networks = match service.mode.as_deref() {
        None => attachments(project, service, draft),
        Some("bridge") => vec![(DEFAULT.to_owned(), Vec::new())],
        Some(mode) => {
            let why = match mode {
                "host" => "it is on the host's own network, where its ports are the host's",
                "none" => "it has no network",
                _ => "it shares another one's network, where its ports belong to that one",
            };
            draft
                .left_out
                .push(format!("{name}, with the network mode {mode}: {why}"));
            return;
        }
    };
    if networks.is_empty() {
        draft
            .left_out
            .push(format!("{name}, which is on none of the networks here"));
        return;
    }
    let all = project.containers(name);
    for container in &all {
        let of = |names: &[String]| {
            names
                .iter()
                .flat_map(|name| project.containers(name))
                .collect()
        };
        let mut drafted = Container {
            name: word(container),
            networks: networks.clone(),
            exposed: service.expose.clone(),
            links: of(&service.links),
            needs: of(&service.depends_on),
            ..Container::default()
        };
        for port in &service.ports {
            publish(port, all.len() > 1, draft, &mut drafted);
        }
        if !service.profiles.is_empty() {
            drafted.notes.push(format!(
                "runs with the profile {} only",
                service.profiles.join(" or ")
            ));
        }
        draft.containers.push(drafted);
    }
}

fn attachments(
    project: &Project,
    service: &Service,
    draft: &Draft,
) -> Vec<(String, Vec<std::net::IpAddr>)> {
    let named = service
        .networks
        .iter()
        .map(|(key, at)| (network_name(project, key), at));
    named
        .filter(|(name, _)| draft.network(name).is_some())
        .map(|(name, at)| (name, at.clone()))
        .collect()
}

/// Adds a published port, or what of it a policy can say.
fn publish(port: &Port, several: bool, draft: &Draft, container: &mut Container) {
    let protocol = port.protocol.name();
    let reason = match (port.host, port.address) {
        (None, _) => Some("Docker picks the host's port".to_owned()),
        (Some(_), _) if several => Some("several containers share the host's ports".to_owned()),
        (Some(host), _) if host.count() != port.container.count() => {
            Some(format!("Docker picks one of the host's ports {host}"))
        }
        (_, Some(address)) if address.is_ipv6() && address.is_loopback() => {
            Some(format!("nothing can be translated from {address}"))
        }
        (Some(host), _) if is_taken(draft, container, port) => {
            Some(format!("another container has the host's port {host}"))
        }
        _ => None,
    };
    match (port.host, reason) {
        (Some(host), None) => container.published.push(Published {
            address: port.address,
            host,
            container: port.container,
            protocol: port.protocol,
        }),
        (_, reason) => {
            let reason = reason.unwrap_or_default();
            let line = format!(
                "{}/{protocol} is published, too, but {reason}",
                port.container
            );
            container.notes.push(line);
            container.exposed.push((port.container, port.protocol));
        }
    }
}

fn is_taken(draft: &Draft, container: &Container, port: &Port) -> bool {
    let others = draft
        .containers
        .iter()
        .flat_map(|container| &container.published);
    others.chain(&container.published).any(|other| {
        let host = port.host.and_then(|host| host.intersection(other.host));
        let apart = matches!((port.address, other.address), (Some(a), Some(b)) if a != b);
        other.protocol == port.protocol && host.is_some() && !apart
    })
}
