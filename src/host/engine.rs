//! The container engine, asked over its socket; nothing is ever changed there.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where the engine's process is looked for"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerSummary, EndpointSettings, IpamConfig, Network, PortSummary, PortSummaryTypeEnum,
    SystemInfo,
};
use bollard::{API_DEFAULT_VERSION, Docker};

use super::{HostError, podman};
use crate::facts::{ContainerFacts, Daemon, EngineSettings, Facts, NetworkFacts, PublishedPort};
use crate::policy::ir::Protocol;

/// Where the engine listens.
pub const SOCKET: &str = "/run/docker.sock";
pub(super) const DAEMON_JSON: &str = "/etc/docker/daemon.json";
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
pub fn inventory(socket: &Path) -> Result<Facts, HostError> {
    ask(&podman::instead_of(socket), async |engine| {
        let told = engine.version().await?;
        let (is_podman, version) = (podman::is_it(&told), told.version.unwrap_or_default());
        let info = engine.info().await?;
        let networks = engine.list_networks(None).await?;
        let containers = containers(&engine.list_containers(None).await?);
        Ok(Facts {
            engine: Some(if is_podman {
                format!("podman {version}")
            } else {
                format!("docker {version}")
            }),
            settings: Some(settings(version, &info)),
            networks: if is_podman {
                podman::networks(by_name(&networks))
            } else {
                by_name(&networks)
            },
            containers: if is_podman {
                podman::containers(&engine, containers).await?
            } else {
                containers
            },
            ..Facts::default()
        })
    })
}

/// Asks the engine what it is.
pub(super) fn facts(socket: &Path) -> Result<EngineFacts, HostError> {
    ask(socket, async |engine| {
        let version = engine.version().await?.version.unwrap_or_default();
        let info = engine.info().await?;
        Ok(EngineFacts {
            version,
            nftables: is_nftables(&info),
            options: options(),
        })
    })
}

/// `nftables`, or with `+firewalld` behind it; engines before 28 do not say.
fn is_nftables(info: &SystemInfo) -> bool {
    let backend = info.firewall_backend.as_ref();
    let driver = backend.and_then(|backend| backend.driver.as_ref());
    driver.is_some_and(|driver| driver.starts_with("nftables"))
}

/// Completes what an engine says of its settings with what it was told.
pub(super) fn told(said: EngineSettings, file: Option<&str>) -> EngineSettings {
    let file: serde_json::Value = file
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let daemon = Daemon {
        options: &options(),
        file: &file,
    };
    EngineSettings {
        proxy: Some(daemon.switch("userland-proxy").unwrap_or(true)),
        iptables: Some(daemon.switch("iptables").unwrap_or(true)),
        ip6tables: daemon.switch("ip6tables"),
        ..said
    }
}

fn settings(version: String, info: &SystemInfo) -> EngineSettings {
    EngineSettings {
        version,
        nftables: is_nftables(info),
        live_restore: info.live_restore_enabled,
        ..EngineSettings::default()
    }
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

/// Names the networks; of several with one name the first by id has it alone.
fn by_name(networks: &[Network]) -> BTreeMap<String, NetworkFacts> {
    let facts = networks.iter().filter_map(network);
    let mut all: Vec<(String, NetworkFacts)> = facts.collect();
    all.sort_by(|(_, one), (_, other)| one.id.cmp(&other.id));
    let mut named = BTreeMap::new();
    for (name, facts) in all {
        let digits = facts.id.as_deref().and_then(|id| id.get(..12));
        let name = match digits.filter(|_| named.contains_key(&name)) {
            Some(digits) => format!("{name} ({digits})"),
            None => name,
        };
        named.insert(name, facts);
    }
    named
}

fn network(network: &Network) -> Option<(String, NetworkFacts)> {
    let (name, driver) = (network.name.clone()?, network.driver.clone()?);
    let configs = network.ipam.as_ref().and_then(|ipam| ipam.config.as_ref());
    let subnet = |config: &IpamConfig| config.subnet.as_ref()?.parse().ok();
    let facts = NetworkFacts {
        id: network.id.clone(),
        bridge: (driver == "bridge").then(|| bridge(network)).flatten(),
        driver,
        subnets: configs.into_iter().flatten().filter_map(subnet).collect(),
        internal: network.internal.unwrap_or(false),
        icc: option(network, ICC).is_none_or(|icc| icc != "false"),
        labels: labels(network.labels.as_ref()),
    };
    Some((name, facts))
}

fn labels(labels: Option<&HashMap<String, String>>) -> BTreeMap<String, String> {
    let pairs = labels.into_iter().flatten();
    pairs
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Without a name of its own a bridge has the first 12 digits of the network's.
fn bridge(network: &Network) -> Option<String> {
    let digits = || Some(format!("br-{}", network.id.as_ref()?.get(..12)?));
    option(network, BRIDGE).cloned().or_else(digits)
}

fn option<'n>(network: &'n Network, name: &str) -> Option<&'n String> {
    network.options.as_ref()?.get(name)
}

/// Names the containers; a network mode that names another has its name, where it runs.
fn containers(all: &[ContainerSummary]) -> BTreeMap<String, ContainerFacts> {
    let names: HashMap<&str, &str> = all
        .iter()
        .filter_map(|it| Some((it.id.as_deref()?, name(it)?)))
        .collect();
    let found = all.iter().filter_map(|container| {
        let config = container.host_config.as_ref();
        let mode = config.and_then(|config| config.network_mode.as_ref());
        let facts = ContainerFacts {
            network_mode: mode.map(|mode| of_name(mode, &names)),
            ..facts_of(container)
        };
        Some((name(container)?.to_owned(), facts))
    });
    found.collect()
}

fn of_name(mode: &str, names: &HashMap<&str, &str>) -> String {
    let other = mode.strip_prefix("container:").and_then(|id| names.get(id));
    other.map_or_else(|| mode.to_owned(), |name| format!("container:{name}"))
}

fn name(container: &ContainerSummary) -> Option<&str> {
    container.names.as_ref()?.iter().find_map(|name| {
        // Names with a further slash are links of others to it.
        name.strip_prefix('/').filter(|name| !name.contains('/'))
    })
}

fn facts_of(container: &ContainerSummary) -> ContainerFacts {
    let settings = container.network_settings.as_ref();
    let networks = settings.and_then(|settings| settings.networks.as_ref());
    let networks = networks.into_iter().flatten();
    let networks = networks.map(|(name, end)| (name.clone(), addresses(end)));
    ContainerFacts {
        labels: labels(container.labels.as_ref()),
        network_mode: None,
        networks: networks.filter(|(_, all)| !all.is_empty()).collect(),
        ports: ports(container.ports.iter().flatten().filter_map(port)),
    }
}

pub(super) fn addresses(end: &EndpointSettings) -> Vec<IpAddr> {
    let both = [&end.ip_address, &end.global_ipv6_address];
    both.into_iter()
        .filter_map(|text| text.as_ref()?.parse().ok())
        .collect()
}

fn port(port: &PortSummary) -> Option<PublishedPort> {
    let protocol = match port.typ {
        Some(PortSummaryTypeEnum::UDP) => Protocol::Udp,
        Some(PortSummaryTypeEnum::SCTP) => Protocol::Sctp,
        _ => Protocol::Tcp,
    };
    let address = port.ip.as_deref().filter(|ip| !ip.is_empty());
    Some(PublishedPort {
        // One that cannot be read counts as every address: it may be any.
        address: address.and_then(|ip| ip.parse().ok()),
        host: port.public_port.filter(|port| *port > 0)?,
        container: port.private_port,
        protocol,
    })
}

/// An engine tells a port of every address once for each family.
pub(super) fn ports(all: impl Iterator<Item = PublishedPort>) -> Vec<PublishedPort> {
    let all: BTreeSet<PublishedPort> = all.collect();
    let both = |port: &PublishedPort| {
        let every = [IpAddr::from([0_u8; 4]), IpAddr::from([0_u8; 16])];
        let has = |address| {
            let address = Some(address);
            all.contains(&PublishedPort {
                address,
                ..port.clone()
            })
        };
        port.address.is_some_and(|it| it.is_unspecified()) && every.into_iter().all(has)
    };
    let merged = all.iter().map(|port| PublishedPort {
        address: port.address.filter(|_| !both(port)),
        ..port.clone()
    });
    merged.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns how an address stands before a published port; nothing for every address.
pub(super) fn address(ip: Option<&str>) -> String {
    match ip {
        None | Some("" | "0.0.0.0" | "::") => String::new(),
        Some(six) if six.contains(':') => format!("[{six}]:"),
        Some(four) => format!("{four}:"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_both_families_is_one_of_every_address() {
        let table = [
            (
                &["0.0.0.0:80->80/tcp", "[::]:80->80/tcp"][..],
                &["80->80/tcp"][..],
            ),
            (&["[::]:80->80/tcp"], &["[::]:80->80/tcp"]),
            (
                &["0.0.0.0:80->80/tcp", "[::]:80->81/tcp"],
                &["0.0.0.0:80->80/tcp", "[::]:80->81/tcp"],
            ),
            (
                &["192.0.2.1:80->80/udp", "192.0.2.1:80->80/udp"],
                &["192.0.2.1:80->80/udp"],
            ),
        ];
        for (told, wanted) in table {
            let told = told.iter().map(|text| text.parse().unwrap());
            let found: Vec<String> = ports(told).iter().map(ToString::to_string).collect();
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn networks_of_one_name_are_told_apart() {
        let network = |id: &str| Network {
            name: Some("shop".to_owned()),
            id: Some(id.to_owned()),
            driver: Some("bridge".to_owned()),
            ..Network::default()
        };
        let named = by_name(&[network("fedcba9876543210"), network("0123456789abcdef")]);
        let bridges = named
            .iter()
            .map(|(name, it)| (name.as_str(), it.bridge.as_deref()));
        let bridges: Vec<_> = bridges.collect();
        let wanted = [
            ("shop", Some("br-0123456789ab")),
            ("shop (fedcba987654)", Some("br-fedcba987654")),
        ];
        assert_eq!(bridges, wanted);
    }

    #[test]
    fn a_mode_of_another_container_has_its_name() {
        let container = |id: &str, name: &str, mode: &str| ContainerSummary {
            id: Some(id.to_owned()),
            names: Some(vec![format!("/{name}"), format!("/other/{name}")]),
            host_config: Some(bollard::models::ContainerSummaryHostConfig {
                network_mode: Some(mode.to_owned()),
                ..Default::default()
            }),
            ..ContainerSummary::default()
        };
        let all = [
            container("aa", "vpn", "host"),
            container("bb", "app", "container:aa"),
        ];
        let found = containers(&all);
        let mode = |name: &str| found[name].network_mode.clone();
        assert_eq!(mode("vpn").as_deref(), Some("host"));
        assert_eq!(mode("app").as_deref(), Some("container:vpn"));
    }
}
