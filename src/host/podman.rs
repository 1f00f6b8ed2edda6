//! What podman tells otherwise than Docker, whose API it speaks.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where its networks' own files are read"
)]

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, PortBinding, SystemVersion};
use serde::Deserialize;

use super::engine::{SOCKET, ports};
use crate::facts::{ContainerFacts, NetworkFacts, PublishedPort};

/// Where podman listens as root; podman-system-service(1).
const PODMAN_SOCKET: &str = "/run/podman/podman.sock";
/// Where it keeps what its networks are; `podman-network-create(1)`.
const FOLDER: &str = "/etc/containers/networks";
/// The network that is there without a file, which Docker's API knows as `bridge`.
const DEFAULT: (&str, &str) = (
    "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9",
    "podman0",
);

/// Returns podman's socket in the place of Docker's usual one, where that is not there.
pub(super) fn instead_of(socket: &Path) -> PathBuf {
    let podman = Path::new(PODMAN_SOCKET);
    let is_usual = socket == Path::new(SOCKET);
    if is_usual && !socket.exists() && podman.exists() {
        return podman.to_owned();
    }
    socket.to_owned()
}

/// Returns true for the answer of a podman.
pub(super) fn is_it(version: &SystemVersion) -> bool {
    let mut parts = version.components.iter().flatten();
    parts.any(|part| part.name == "Podman Engine")
}

/// A file of a network, as far as it is needed.
#[derive(Deserialize)]
struct File {
    id: String,
    network_interface: Option<String>,
}

/// Docker's API does not name podman's bridges: those of this machine's files are put in. A network
/// whose file is not there has none, rather than one by Docker's habit.
pub(super) fn networks(mut all: BTreeMap<String, NetworkFacts>) -> BTreeMap<String, NetworkFacts> {
    let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let bridges = bridges(texts);
    for facts in all.values_mut() {
        let id = facts.id.as_deref().unwrap_or_default();
        facts.bridge = bridges.get(id).cloned();
    }
    all
}

/// Returns the bridges in files of networks by id.
fn bridges(texts: impl Iterator<Item = String>) -> BTreeMap<String, String> {
    let read = |text: String| {
        let file: File = serde_json::from_str(&text).ok()?;
        Some((file.id, file.network_interface?))
    };
    let (id, bridge) = DEFAULT;
    let usual = (id.to_owned(), bridge.to_owned());
    std::iter::once(usual)
        .chain(texts.filter_map(read))
        .collect()
}

/// Its list of containers has the first port of each range alone, without the address, and no network
/// mode: each container is asked for its own. One that is gone by then stays as the list has it.
pub(super) async fn containers(
    engine: &Docker,
    mut all: BTreeMap<String, ContainerFacts>,
) -> Result<BTreeMap<String, ContainerFacts>, Error> {
    for (name, facts) in &mut all {
        match engine.inspect_container(name, None).await {
            Ok(told) => complete(facts, &told),
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn complete(facts: &mut ContainerFacts, told: &ContainerInspectResponse) {
    let config = told.host_config.as_ref();
    let mode = config.and_then(|config| config.network_mode.as_deref());
    // `bridge` is its word for every network of its own.
    facts.network_mode = { mode }.filter(|mode| *mode != "bridge").map(str::to_owned);
    let settings = told.network_settings.as_ref();
    let Some(published) = settings.and_then(|settings| settings.ports.as_ref()) else {
        return;
    };
    let each = published.iter().flat_map(|(inner, outer)| {
        let outer = outer.iter().flatten();
        outer.filter_map(|outer| port(inner, outer))
    });
    facts.ports = ports(each);
}

/// `0.0.0.0` is what it says of a port of every address of both families as well.
fn port(inner: &str, outer: &PortBinding) -> Option<PublishedPort> {
    let host = outer.host_port.as_deref()?;
    let port: PublishedPort = format!("{host}->{inner}").parse().ok()?;
    let address = outer.host_ip.as_deref().unwrap_or_default();
    Some(PublishedPort {
        // One that cannot be read may be any.
        address: { address.parse().ok() }.filter(|it: &IpAddr| !it.is_unspecified()),
        ..port
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_has_each_port_of_a_range() {
        let told = r#"{
            "HostConfig": {"NetworkMode": "bridge"},
            "NetworkSettings": {"Ports": {
                "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}],
                "81/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8081"}],
                "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}],
                "90/tcp": [{"HostIp": "", "HostPort": "9090"}],
                "99/tcp": null
            }}
        }"#;
        let mut facts = ContainerFacts {
            ports: vec!["8080->80/tcp".parse().unwrap()],
            ..ContainerFacts::default()
        };
        complete(&mut facts, &serde_json::from_str(told).unwrap());
        let mut found: Vec<String> = facts.ports.iter().map(ToString::to_string).collect();
        found.sort();
        let wanted = [
            "127.0.0.1:5353->53/udp",
            "8080->80/tcp",
            "8081->81/tcp",
            "9090->90/tcp",
        ];
        assert_eq!(found, wanted);
        assert_eq!(facts.network_mode, None);

        let told = r#"{"HostConfig": {"NetworkMode": "host"}}"#;
        complete(&mut facts, &serde_json::from_str(told).unwrap());
        assert_eq!(facts.network_mode.as_deref(), Some("host"));
    }

    #[test]
    fn a_bridge_is_that_of_the_networks_file() {
        let shop = r#"{"name": "shop", "id": "7c8a", "driver": "bridge",
            "network_interface": "br-shop", "internal": false}"#;
        let texts = [
            shop,
            "no JSON",
            r#"{"name": "lan", "id": "77", "driver": "macvlan"}"#,
        ];
        let found = bridges(texts.map(str::to_owned).into_iter());
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(found, [DEFAULT, ("7c8a", "br-shop")]);
    }
}
