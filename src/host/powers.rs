//! What running containers may do to the machine itself, asked over the engine's socket.

use std::path::Path;

use bollard::models::{ContainerInspectResponse, HostConfig};

use super::HostError;
use super::engine::ask;

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
    let powers = ContainerPowers {
        name: name.trim_start_matches('/').to_owned(),
        mounts: mounts.filter_map(|mount| mount.source).collect(),
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
