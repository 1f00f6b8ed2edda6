//! A draft from compose files.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::draft::{Container, Draft, Names, Network};
use super::ports::publish;
use crate::compose::{self, Project, Service};

/// Drivers whose networks are bridges of this host.
const GOVERNED: [&str; 2] = ["", "bridge"];
/// What the engine calls its default bridge.
const DEFAULT: &str = "bridge";

/// Drafts a policy of a project. What no rule of a host can govern is left out, with the reason.
pub fn from_compose(project: &Project, origin: &str) -> Draft {
    let mut draft = Draft {
        origin: origin.to_owned(),
        ..Draft::default()
    };
    let mut names = Names::default();
    let services = project.services.keys();
    // Containers first: what people type most keeps its name.
    let containers: Vec<Vec<Container>> = services
        .map(|service| named(project, service, &mut names))
        .collect();
    networks(project, &mut names, &mut draft);
    for ((name, service), named) in project.services.iter().zip(containers) {
        add(project, name, service, named, &mut draft);
    }
    draft
}

/// Returns a service's containers, of which nothing but the names is known.
fn named(project: &Project, service: &str, names: &mut Names) -> Vec<Container> {
    let all = project.containers(service).into_iter();
    all.map(|name| Container::named(&name, names)).collect()
}

fn networks(project: &Project, names: &mut Names, draft: &mut Draft) {
    let services = project.services.values();
    let used = |key: &String| {
        services
            .clone()
            .any(|service| service.networks.contains_key(key))
    };
    for (key, network) in project.networks.iter().filter(|(key, _)| used(key)) {
        if draft.network(&network.name).is_some() {
            continue;
        }
        match governed(key, network, names) {
            Ok(network) => draft.networks.push(network),
            Err(reason) => draft.left_out.push(reason),
        }
    }
    let default = |service: &Service| service.mode.as_deref() == Some("bridge");
    if project.services.values().any(default) && draft.network(DEFAULT).is_none() {
        draft.networks.push(default_bridge(names));
    }
}

fn default_bridge(names: &mut Names) -> Network {
    Network {
        name: names.give("docker0", "net"),
        engine_name: DEFAULT.to_owned(),
        bridge: Some("docker0".to_owned()),
        subnets: vec![IpNet::V4(Ipv4Net::new_assert([172, 17, 0, 0].into(), 16))],
        icc: true,
        note: Some("Docker's own, unless `bip` in daemon.json says otherwise".to_owned()),
        ..Network::default()
    }
}

fn governed(key: &str, network: &compose::Network, names: &mut Names) -> Result<Network, String> {
    let driver = network.driver.as_deref().unwrap_or_default();
    if !GOVERNED.contains(&driver) {
        return Err(format!(
            "the network {key}, of the driver {driver}: no rule of this host sees its packets"
        ));
    }
    let name = names.give(key, "net");
    Ok(Network {
        note: (name != key).then(|| {
            format!("called {key} there, where something else has that name, or the language")
        }),
        name,
        engine_name: network.name.clone(),
        bridge: network.bridge.clone(),
        subnets: network.subnets.clone(),
        icc: network.icc,
        internal: network.internal,
    })
}

/// Completes a service's containers and adds them.
fn add(
    project: &Project,
    name: &str,
    service: &Service,
    containers: Vec<Container>,
    draft: &mut Draft,
) {
    let networks = match attachments(project, service, draft) {
        Ok(networks) => networks,
        Err(why) => {
            draft.left_out.push(format!("{name}, {why}"));
            return;
        }
    };
    let of = |names: &[String]| {
        let all = names.iter().flat_map(|name| project.containers(name));
        all.collect::<Vec<String>>()
    };
    let several = containers.len() > 1;
    for mut container in containers {
        container.networks.clone_from(&networks);
        container.exposed.clone_from(&service.expose);
        container.links = of(&service.links);
        container.needs = of(&service.depends_on);
        for port in &service.ports {
            publish(port, several, draft, &mut container);
        }
        if !service.profiles.is_empty() {
            let profiles = service.profiles.join(" or ");
            container
                .notes
                .push(format!("runs with the profile {profiles} only"));
        }
        draft.containers.push(container);
    }
}

/// Returns a service's networks with its fixed addresses, or why no policy can govern it.
fn attachments(
    project: &Project,
    service: &Service,
    draft: &Draft,
) -> Result<Vec<(String, Vec<IpAddr>)>, String> {
    let name = |engine_name: &str| draft.network(engine_name).map(|it| it.name.clone());
    let networks: BTreeMap<String, Vec<IpAddr>> = match service.mode.as_deref() {
        None => {
            let keys = service.networks.iter();
            let known = keys.filter_map(|(key, at)| {
                let network = project.networks.get(key)?;
                Some((name(&network.name)?, at.clone()))
            });
            known.collect()
        }
        Some("bridge") => name(DEFAULT)
            .map(|name| (name, Vec::new()))
            .into_iter()
            .collect(),
        Some(mode) => return Err(format!("with the network mode {mode}: {}", elsewhere(mode))),
    };
    if networks.is_empty() {
        return Err("which is on none of the networks here".to_owned());
    }
    Ok(networks.into_iter().collect())
}

fn elsewhere(mode: &str) -> &'static str {
    match mode {
        "host" => "it is on the host's own network, where its ports are the host's",
        "none" => "it has no network",
        _ => "it shares another one's network, where its ports belong to that one",
    }
}
