//! What running containers may do to the machine itself, and what they publish on it, asked over the
//! engine's socket.

use std::net::IpAddr;
use std::path::Path;

use bollard::models::{ContainerInspectResponse, HostConfig, NetworkSettings};

use super::HostError;
use super::engine::{self, ask};

/// What one running container may do to the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerPowers {
    pub name: String,
    pub privileged: bool,
    /// It has no network of its own.
    pub host_network: bool,
    /// It sees, and may trace, the machine's processes.
    pub host_pid: bool,
    /// Capabilities added to the usual ones, without `CAP_`.
    pub capabilities: Vec<String>,
    /// Paths of the machine that it has mounted.
    pub mounts: Vec<String>,
    pub addresses: Vec<IpAddr>,
    /// As in `192.0.2.1:8080->80/tcp`, in order; without an address where it is every one.
    pub published: Vec<String>,
}

/// Asks the engine what its running containers may do.
pub(super) fn powers(socket: &Path) -> Result<Vec<ContainerPowers>, HostError> {
    ask(socket, async |engine| {
        let mut all = Vec::new();
        for container in engine.list_containers(None).await? {
            let Some(id) = container.id else { continue };
            match engine.inspect_container(&id, None).await {
                Ok(found) => all.push(of(found)),
                // It ended meanwhile.
                Err(bollard::errors::Error::DockerResponseServerError {
                    status_code: 404, ..
                }) => {}
                Err(error) => return Err(error),
            }
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    })
}

fn of(found: ContainerInspectResponse) -> ContainerPowers {
    let name = found.name.unwrap_or_default();
    let mounts = found.mounts.into_iter().flatten();
    let settings = found.network_settings.as_ref();
    let powers = ContainerPowers {
        name: name.trim_start_matches('/').to_owned(),
        mounts: mounts.filter_map(|mount| mount.source).collect(),
        addresses: settings.map(addresses).unwrap_or_default(),
        published: settings.map(published).unwrap_or_default(),
        ..ContainerPowers::default()
    };
    match found.host_config {
        None => powers,
        Some(config) => with(powers, config),
    }
}

fn with(powers: ContainerPowers, config: HostConfig) -> ContainerPowers {
    let plain = |name: String| name.to_uppercase().trim_start_matches("CAP_").to_owned();
    let added = config.cap_add.into_iter().flatten();
    ContainerPowers {
        privileged: config.privileged.unwrap_or(false),
        host_network: config.network_mode.as_deref() == Some("host"),
        host_pid: config.pid_mode.as_deref() == Some("host"),
        capabilities: added.map(plain).collect(),
        ..powers
    }
}

fn addresses(settings: &NetworkSettings) -> Vec<IpAddr> {
    let networks = settings.networks.iter().flat_map(|all| all.values());
    let mut all: Vec<IpAddr> = networks.flat_map(engine::addresses).collect();
    all.sort_unstable();
    all
}

fn published(settings: &NetworkSettings) -> Vec<String> {
    let ports = settings.ports.iter().flatten();
    let bound = ports.flat_map(|(inner, bound)| {
        let bound = bound.iter().flatten();
        bound.filter_map(move |bound| {
            let address = engine::address(bound.host_ip.as_deref());
            let outer = bound.host_port.as_ref()?;
            Some(format!("{address}{outer}->{inner}"))
        })
    });
    let mut all: Vec<String> = bound.collect();
    all.sort();
    all.dedup();
    all
}
