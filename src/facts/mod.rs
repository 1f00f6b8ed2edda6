//! What runs: what an engine knows of its networks and containers, and a machine of itself.
//!
//! The text form is `inventory.yaml`, the old name of the same.

mod machine;
mod port;
mod settings;

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::machine::{DefaultRoute, Interface, MachineFacts, Printed, Socket};
pub use self::port::{PortError, PublishedPort};
pub use self::settings::{Daemon, EngineSettings};
use crate::yaml;

/// Largest text that is read, in bytes.
pub const MAX_BYTES: u64 = 16 << 20;

/// What there is on one host. A file of YAML has the same form; unknown keys are mistakes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// The engine and its version, as in `docker 28.5.2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<EngineSettings>,
    /// By the engine's name of the network, all of them. Of several with one name, which Docker
    /// permits, all but the first have the start of their id behind it: `shop (0123456789ab)`.
    #[serde(default)]
    pub networks: BTreeMap<String, NetworkFacts>,
    /// Running ones, by name, without Docker's leading slash.
    #[serde(default)]
    pub containers: BTreeMap<String, ContainerFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineFacts>,
    /// A container that is not in it does not run, and has no address: a rule about it is about
    /// nobody. No file says so, since no file knows the next moment.
    #[serde(skip)]
    pub complete: bool,
    /// The engine was asked just now: what differs from the policy is told by the module `compare`, as
    /// findings about the machine, and not as mistakes of a file.
    #[serde(skip)]
    pub live: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFacts {
    /// The engine's, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Docker's driver, `bridge` for all that a policy can govern.
    pub driver: String,
    /// The kernel's interface; a network without one has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    #[serde(default)]
    pub subnets: Vec<IpNet>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
    /// Its containers reach each other as far as the engine is concerned.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub icc: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_yes(truth: &bool) -> bool {
    *truth
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerFacts {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// As Docker's `HostConfig.NetworkMode`: `host`, `none`, a network's name, `container:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<String>,
    /// Addresses by the engine's name of the network.
    #[serde(default)]
    pub networks: BTreeMap<String, Vec<IpAddr>>,
    /// Published ports that are in force, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PublishedPort>,
}

/// Why a text holds no facts; the parser's message names the line where it knows it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct FactsError(String);

impl Facts {
    /// Returns what there is to know while no container runs.
    pub fn nothing_runs() -> Self {
        Facts::default().as_complete()
    }

    /// Takes them for all there is: a container whose address they do not tell has none.
    #[must_use]
    pub fn as_complete(self) -> Self {
        Facts {
            complete: true,
            ..self
        }
    }

    /// Reads a text of YAML.
    pub fn read(text: &str) -> Result<Self, FactsError> {
        yaml::read(text).map_err(FactsError)
    }

    /// Writes it as YAML, the same text every time.
    pub fn print(&self) -> String {
        serde_yaml::to_string(self)
            .unwrap_or_else(|error| unreachable!("all keys are text: {error}"))
    }

    /// Returns the networks that have a bridge, with its name.
    pub fn bridges(&self) -> impl Iterator<Item = (&str, &NetworkFacts)> {
        let networks = self.networks.values();
        networks.filter_map(|facts| Some((facts.bridge.as_deref()?, facts)))
    }

    /// Returns the network of a bridge, by the engine's name.
    pub fn network_of(&self, bridge: &str) -> Option<(&str, &NetworkFacts)> {
        let mut networks = self.networks.iter();
        let found = networks.find(|(_, facts)| facts.bridge.as_deref() == Some(bridge));
        found.map(|(name, facts)| (name.as_str(), facts))
    }

    /// Returns a container's addresses on a network, by the engine's names.
    pub fn addresses(&self, container: &str, network: &str) -> &[IpAddr] {
        let facts = self.containers.get(container);
        let addresses = facts.and_then(|facts| facts.networks.get(network));
        addresses.map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "engine: docker 28.5.2
settings:
  version: 28.5.2
  nftables: false
  proxy: true
networks:
  shop:
    id: 0123456789abcdef
    driver: bridge
    bridge: br-shop
    subnets:
    - 172.18.0.0/16
    - fd00:18::/64
    labels:
      com.docker.compose.network: default
containers:
  web:
    labels:
      com.docker.compose.service: web
    network_mode: shop
    networks:
      shop:
      - 172.18.0.2
      - fd00:18::2
    ports:
    - 8080->80/tcp
    - 192.0.2.1:8081->80/tcp
machine:
  interfaces:
    br-shop:
      kind: bridge
      addresses:
      - 172.18.0.1/16
    eth0:
      addresses:
      - 192.0.2.1/24
    veth1:
      kind: veth
      master: br-shop
      addresses: []
  routes:
  - device: eth0
    via: 192.0.2.254
  sockets:
  - protocol: tcp
    address: 0.0.0.0
    port: 22
";

    /// As tidegate 0.1 printed it.
    const OLD: &str = "engine: docker 28.5.2
networks:
  shop:
    driver: bridge
    bridge: br-shop
    subnets: [172.18.0.0/16]
containers:
  web:
    networks:
      shop: [172.18.0.2]
    ports: [8080->80/tcp]
";

    #[test]
    fn a_text_is_read_and_printed_as_it_was() {
        let inventory = Facts::read(TEXT).unwrap();
        assert_eq!(inventory.print(), TEXT);
        let (name, facts) = inventory.network_of("br-shop").unwrap();
        assert_eq!((name, facts.driver.as_str()), ("shop", "bridge"));
        assert_eq!(inventory.addresses("web", "shop").len(), 2);
        assert!(inventory.addresses("web", "other").is_empty());
    }

    #[test]
    fn an_old_inventory_is_read() {
        let facts = Facts::read(OLD).unwrap();
        assert_eq!(facts.containers["web"].ports.len(), 1);
        assert_eq!(
            facts.bridges().map(|(name, _)| name).collect::<Vec<_>>(),
            ["br-shop"]
        );
    }

    #[test]
    fn a_machine_knows_its_addresses_and_ports_of_bridges() {
        let machine = Facts::read(TEXT).unwrap().machine.unwrap();
        assert!(machine.has("172.18.0.1".parse().unwrap()));
        assert!(!machine.has("172.18.0.0".parse().unwrap()));
        let ports: Vec<&str> = machine.ports_of("br-shop").map(|(name, _)| name).collect();
        assert_eq!(ports, ["veth1"]);
    }

    #[test]
    fn mistakes_name_their_place() {
        for (wrong, said) in [
            ("containers: 7", "containers: invalid type"),
            ("container: {}", "unknown field `container`"),
            (
                "containers:\n  web:\n    networks:\n      shop: [172.18.0.300]",
                "line 4",
            ),
            ("networks:\n  shop: {subnets: []}", "missing field `driver`"),
            (
                "containers: {web: {ports: [80]}}",
                "`80` is no published port",
            ),
            (
                "containers: {web: {ports: [80->80/icmp]}}",
                "no published port",
            ),
        ] {
            let error = Facts::read(wrong).unwrap_err().to_string();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_inventory_or_a_mistake(text in "\\PC*") {
            if let Ok(inventory) = Facts::read(&text) {
                prop_assert_eq!(Facts::read(&inventory.print()), Ok(inventory));
            }
        }
    }
}
