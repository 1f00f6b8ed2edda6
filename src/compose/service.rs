//! Services and networks of a project, from its merged files.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_yaml::Value;

use super::ports::{self, protocol, range};
use super::values::{At, Wrong};
use super::{Network, Port, Project, Protocol, Service};
use crate::net::PortRange;

/// Most containers of one service that are taken for its own.
const MAX_REPLICAS: u32 = 100;

/// The option that names a network's bridge; Docker 1.9 and newer.
const BRIDGE: &str = "com.docker.network.bridge.name";
const ICC: &str = "com.docker.network.bridge.enable_icc";

pub(super) fn project(value: &Value, name: &str) -> Result<Project, Wrong> {
    let root = At {
        value,
        path: String::new(),
    };
    for key in ["include"] {
        if let Some(at) = root.get(key) {
            return at.wrong("files that a file includes are not read; name them all with `-f`");
        }
    }
    let name = match root.get("name") {
        Some(at) => at.text()?,
        None => name.to_owned(),
    };
    let mut networks = match root.get("networks") {
        Some(at) => networks(&at, &name)?,
        None => BTreeMap::new(),
    };
    let mut services = BTreeMap::new();
    for (key, at) in root
        .get("services")
        .map_or(Ok(Vec::new()), |at| at.entries())?
    {
        services.insert(key, service(&at)?);
    }
    for service in services.values() {
        for used in service.networks.keys() {
            networks
                .entry(used.clone())
                .or_insert_with(|| undeclared(used, &name));
        }
    }
    Ok(Project {
        name,
        services,
        networks,
    })
}

/// The network `default` needs no declaration.
fn undeclared(key: &str, project: &str) -> Network {
    Network {
        name: format!("{project}_{key}"),
        icc: true,
        ..Network::default()
    }
}

fn networks(at: &At<'_>, project: &str) -> Result<BTreeMap<String, Network>, Wrong> {
    let mut found = BTreeMap::new();
    for (key, at) in at.entries()? {
        let network = if at.value.is_null() {
            undeclared(&key, project)
        } else {
            network(&key, &at, project)?
        };
        found.insert(key, network);
    }
    Ok(found)
}

fn network(key: &str, at: &At<'_>, project: &str) -> Result<Network, Wrong> {
    let mut network = undeclared(key, project);
    if let Some(external) = at.get("external") {
        // The old form has the name inside.
        network.external = external.value.is_mapping() || external.truth()?;
        key.clone_into(&mut network.name);
        if let Some(name) = external.get("name") {
            network.name = name.text()?;
        }
    }
    if let Some(name) = at.get("name") {
        network.name = name.text()?;
    }
    network.driver = at.get("driver").map(|at| at.text()).transpose()?;
    if let Some(internal) = at.get("internal") {
        network.internal = internal.truth()?;
    }
    if let Some(options) = at.get("driver_opts") {
        network.bridge = options.get(BRIDGE).map(|at| at.text()).transpose()?;
        if let Some(icc) = options.get(ICC) {
            network.icc = icc.truth()?;
        }
    }
    let configs = at.get("ipam").and_then(|ipam| ipam.get("config"));
    for config in configs.map_or(Ok(Vec::new()), |at| at.items())? {
        if let Some(subnet) = config.get("subnet") {
            let text = subnet.text()?;
            let Ok(net) = text.parse::<IpNet>() else {
                return subnet.wrong(format!("`{text}` is not a prefix"));
            };
            network.subnets.push(net.trunc());
        }
    }
    Ok(network)
}

fn service(at: &At<'_>) -> Result<Service, Wrong> {
    if let Some(extends) = at.get("extends") {
        return extends.wrong("what a service extends is not read; write it out");
    }
    let mode = at.get("network_mode").map(|at| at.text()).transpose()?;
    let mut networks = at
        .get("networks")
        .map_or(Ok(BTreeMap::new()), |at| addresses(&at))?;
    if networks.is_empty() && mode.is_none() {
        networks.insert("default".to_owned(), Vec::new());
    }
    let names = |key: &str| at.get(key).map_or(Ok(Vec::new()), |at| at.names());
    // `db:database` gives the service another name inside.
    let plain = |link: String| link.split(':').next().unwrap_or_default().to_owned();
    Ok(Service {
        container: at.get("container_name").map(|at| at.text()).transpose()?,
        replicas: replicas(at)?,
        mode,
        networks,
        ports: published(at)?,
        expose: exposed(at)?,
        links: names("links")?.into_iter().map(plain).collect(),
        depends_on: names("depends_on")?,
        profiles: names("profiles")?,
    })
}

fn replicas(at: &At<'_>) -> Result<u32, Wrong> {
    let deploy = at.get("deploy").and_then(|deploy| deploy.get("replicas"));
    let Some(at) = at.get("scale").or(deploy) else {
        return Ok(1);
    };
    let text = at.text()?;
    match text.parse::<u32>() {
        Ok(number) if number <= MAX_REPLICAS => Ok(number),
        _ => at.wrong(format!("`{text}` is no number up to {MAX_REPLICAS}")),
    }
}

/// Reads the networks of a service, in either form, with the addresses that are fixed there.
fn addresses(at: &At<'_>) -> Result<BTreeMap<String, Vec<IpAddr>>, Wrong> {
    if at.value.is_sequence() {
        let names = at.names()?;
        return Ok(names.into_iter().map(|name| (name, Vec::new())).collect());
    }
    let mut found = BTreeMap::new();
    for (name, at) in at.entries()? {
        let mut fixed = Vec::new();
        for key in ["ipv4_address", "ipv6_address"] {
            if let Some(at) = at.get(key) {
                let text = at.text()?;
                let Ok(address) = text.parse() else {
                    return at.wrong(format!("`{text}` is not an address"));
                };
                fixed.push(address);
            }
        }
        found.insert(name, fixed);
    }
    Ok(found)
}

fn published(at: &At<'_>) -> Result<Vec<Port>, Wrong> {
    let Some(list) = at.get("ports") else {
        return Ok(Vec::new());
    };
    let one = |at: &At<'_>| {
        if at.value.is_mapping() {
            return long(at);
        }
        ports::port(&at.text()?).or_else(|error| at.wrong(error.to_string()))
    };
    list.items()?.iter().map(one).collect()
}

/// The long form: a mapping with `target`, and perhaps `published`, `host_ip` and `protocol`.
fn long(at: &At<'_>) -> Result<Port, Wrong> {
    let numbers = |at: &At<'_>| {
        let text = at.text()?;
        let bad = || at.wrong(format!("`{text}` is no port from 1 to 65535"));
        range(&text).map_or_else(bad, Ok)
    };
    let Some(target) = at.get("target") else {
        return at.wrong("a port needs its `target`");
    };
    let address = match at.get("host_ip") {
        None => None,
        Some(at) => ports::address(&at.text()?).or_else(|reason| at.wrong(reason))?,
    };
    let protocol = match at.get("protocol") {
        None => Protocol::Tcp,
        Some(at) => known_protocol(&at)?,
    };
    Ok(Port {
        address,
        host: at.get("published").map(|at| numbers(&at)).transpose()?,
        container: numbers(&target)?,
        protocol,
    })
}

fn known_protocol(at: &At<'_>) -> Result<Protocol, Wrong> {
    let text = at.text()?;
    let unknown = || at.wrong(format!("`{text}` is none of tcp, udp, sctp"));
    protocol(&text).map_or_else(unknown, Ok)
}

fn exposed(at: &At<'_>) -> Result<Vec<(PortRange, Protocol)>, Wrong> {
    let Some(list) = at.get("expose") else {
        return Ok(Vec::new());
    };
    let one = |at: &At<'_>| {
        let port = ports::port(&at.text()?).or_else(|error| at.wrong(error.to_string()))?;
        Ok((port.container, port.protocol))
    };
    list.items()?.iter().map(one).collect()
}
