//! What podman tells otherwise than Docker, whose API it speaks.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where its networks' own files are read"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bollard::models::SystemVersion;
use serde::Deserialize;

use super::engine::SOCKET;
use crate::facts::NetworkFacts;

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

#[cfg(test)]
mod tests {
    use super::*;

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
