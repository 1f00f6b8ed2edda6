//! The container engine, asked over its socket; nothing is ever changed there.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where the engine's process is looked for"
)]

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerSummary, EndpointSettings, IpamConfig, Network, PortSummary, PortSummaryTypeEnum,
};
use bollard::{API_DEFAULT_VERSION, Docker};

use super::HostError;
use crate::inventory::{ContainerFacts, Inventory, NetworkFacts};

/// Where the engine listens.
pub const SOCKET: &str = "/run/docker.sock";
/// Seconds that one answer may take.
pub(super) const PATIENCE: u64 = 20;
/// The option that names a network's bridge; Docker 1.9 and newer.
const BRIDGE: &str = "com.docker.network.bridge.name";
const ICC: &str = "com.docker.network.bridge.enable_icc";

/// What an engine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineFacts {
    /// As in `28.5.2`.
    pub version: String,
    /// It writes its rules with nftables.
    pub nftables: bool,
    /// Words of its command line behind the program's name.
    pub options: Vec<String>,
}

/// Asks the engine for its networks and running containers.
pub fn inventory(socket: &Path) -> Result<Inventory, HostError> {
    ask(socket, async |engine| {
        let version = engine.version().await?.version.unwrap_or_default();
        let networks = engine.list_networks(None).await?;
        let containers = engine.list_containers(None).await?;
        Ok(Inventory {
            engine: Some(format!("docker {version}")),
            networks: networks.iter().filter_map(network).collect(),
            containers: containers.iter().filter_map(container).collect(),
            complete: false,
        })
    })
}

/// Asks the engine what it is.
pub(super) fn facts(socket: &Path) -> Result<EngineFacts, HostError> {
    ask(socket, async |engine| {
        let version = engine.version().await?.version.unwrap_or_default();
        let backend = engine.info().await?.firewall_backend;
        let driver = backend.and_then(|backend| backend.driver);
        Ok(EngineFacts {
            version,
            // `nftables`, or with `+firewalld` behind it; engines before 28 do not say.
            nftables: driver.is_some_and(|driver| driver.starts_with("nftables")),
            options: options(),
        })
    })
}

pub(super) fn ask<T>(
    socket: &Path,
    question: impl AsyncFnOnce(Docker) -> Result<T, bollard::errors::Error>,
) -> Result<T, HostError> {
    let failed = |error: String| HostError::Engine {
        path: socket.to_owned(),
        error,
    };
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build();
    let runtime = runtime.map_err(|error| failed(error.to_string()))?;
    let path = socket.to_string_lossy();
    let answer = runtime.block_on(async {
        let engine = Docker::connect_with_unix(&path, PATIENCE, API_DEFAULT_VERSION)?;
        question(engine.negotiate_version().await?).await
    });
    answer.map_err(|error| failed(error.to_string()))
}

fn network(network: &Network) -> Option<(String, NetworkFacts)> {
    let (name, driver) = (network.name.clone()?, network.driver.clone()?);
    let configs = network.ipam.as_ref().and_then(|ipam| ipam.config.as_ref());
    let subnet = |config: &IpamConfig| config.subnet.as_ref()?.parse().ok();
    let facts = NetworkFacts {
        bridge: (driver == "bridge").then(|| bridge(network)).flatten(),
        driver,
        subnets: configs.into_iter().flatten().filter_map(subnet).collect(),
        internal: network.internal.unwrap_or(false),
        icc: option(network, ICC).is_none_or(|icc| icc != "false"),
    };
    Some((name, facts))
}

/// Without a name of its own a bridge has the first 12 digits of the network's.
fn bridge(network: &Network) -> Option<String> {
    let digits = || Some(format!("br-{}", network.id.as_ref()?.get(..12)?));
    option(network, BRIDGE).cloned().or_else(digits)
}

fn option<'n>(network: &'n Network, name: &str) -> Option<&'n String> {
    network.options.as_ref()?.get(name)
}

fn container(container: &ContainerSummary) -> Option<(String, ContainerFacts)> {
    let name = container.names.as_ref()?.iter().find_map(|name| {
        // Names with a further slash are links of others to it.
        name.strip_prefix('/').filter(|name| !name.contains('/'))
    })?;
    let networks = container.network_settings.as_ref()?.networks.as_ref();
    let addresses = networks.map_or_else(HashMap::new, |networks| {
        let of = |(name, end): (&String, &EndpointSettings)| (name.clone(), addresses(end));
        networks.iter().map(of).collect()
    });
    let mut ports: Vec<String> = container.ports.iter().flatten().filter_map(port).collect();
    ports.sort();
    let facts = ContainerFacts {
        networks: addresses
            .into_iter()
            .filter(|(_, all)| !all.is_empty())
            .collect(),
        ports,
    };
    Some((name.to_owned(), facts))
}

fn addresses(end: &EndpointSettings) -> Vec<IpAddr> {
    let both = [&end.ip_address, &end.global_ipv6_address];
    both.into_iter()
        .filter_map(|text| text.as_ref()?.parse().ok())
        .collect()
}

fn port(port: &PortSummary) -> Option<String> {
    let (host, inner) = (port.public_port?, port.private_port);
    let protocol = match port.typ {
        Some(PortSummaryTypeEnum::UDP) => "udp",
        Some(PortSummaryTypeEnum::SCTP) => "sctp",
        _ => "tcp",
    };
    let address = match port.ip.as_deref() {
        None | Some("" | "0.0.0.0" | "::") => String::new(),
        Some(six) if six.contains(':') => format!("[{six}]:"),
        Some(four) => format!("{four}:"),
    };
    Some(format!("{address}{host}->{inner}/{protocol}"))
}

/// Returns whether an engine runs behind its socket. systemd may hold the socket of one that does not
/// and would start it for a question.
pub fn is_running(socket: &Path) -> bool {
    socket.exists() && process().is_some()
}

/// Returns the folder in /proc of the first process named dockerd.
fn process() -> Option<PathBuf> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut processes = entries.map(|entry| entry.path());
    processes.find(|path| {
        let name = fs::read_to_string(path.join("comm"));
        name.is_ok_and(|name| name.trim_end() == "dockerd")
    })
}

/// Returns the engine's options; none where /proc does not show them.
fn options() -> Vec<String> {
    let line = process().and_then(|path| fs::read_to_string(path.join("cmdline")).ok());
    let words = line.unwrap_or_default();
    let words = words.split('\0').skip(1).map(str::to_owned);
    words.filter(|word| !word.is_empty()).collect()
}
