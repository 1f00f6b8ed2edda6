//! `inventory.yaml`: what an engine knows of its networks and containers, and a policy need not say.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::yaml;

/// Largest text that is read, in bytes.
pub const MAX_BYTES: u64 = 16 << 20;

/// What there is on one host. A file of YAML has the same form; unknown keys are mistakes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// The engine and its version, as in `docker 28.5.2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// By the engine's name of the network.
    #[serde(default)]
    pub networks: BTreeMap<String, NetworkFacts>,
    /// By name, without Docker's leading slash.
    #[serde(default)]
    pub containers: BTreeMap<String, ContainerFacts>,
    /// A container that is not in it does not run, and has no address: a rule about it is about
    /// nobody. No file says so, since no file knows the next moment.
    #[serde(skip)]
    pub complete: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFacts {
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
    /// Addresses by the engine's name of the network.
    #[serde(default)]
    pub networks: BTreeMap<String, Vec<IpAddr>>,
    /// Published ports, as in `192.0.2.1:8080->80/tcp`; nothing is worked out from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
}

/// Why a text is no inventory; the parser's message names the line where it knows it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InventoryError(String);

impl Inventory {
    /// Returns what there is to know while no container runs.
    pub fn nothing_runs() -> Self {
        Inventory {
            complete: true,
            ..Inventory::default()
        }
    }

    /// Reads a text of YAML.
    pub fn read(text: &str) -> Result<Self, InventoryError> {
        yaml::read(text).map_err(InventoryError)
    }

    /// Writes it as YAML, the same text every time.
    pub fn print(&self) -> String {
        serde_yaml::to_string(self)
            .unwrap_or_else(|error| unreachable!("all keys are text: {error}"))
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
networks:
  shop:
    driver: bridge
    bridge: br-shop
    subnets:
    - 172.18.0.0/16
    - fd00:18::/64
containers:
  web:
    networks:
      shop:
      - 172.18.0.2
      - fd00:18::2
    ports:
    - 8080->80/tcp
";

    #[test]
    fn a_text_is_read_and_printed_as_it_was() {
        let inventory = Inventory::read(TEXT).unwrap();
        assert_eq!(inventory.print(), TEXT);
        let (name, facts) = inventory.network_of("br-shop").unwrap();
        assert_eq!((name, facts.driver.as_str()), ("shop", "bridge"));
        assert_eq!(inventory.addresses("web", "shop").len(), 2);
        assert!(inventory.addresses("web", "other").is_empty());
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
        ] {
            let error = Inventory::read(wrong).unwrap_err().to_string();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_inventory_or_a_mistake(text in "\\PC*") {
            if let Ok(inventory) = Inventory::read(&text) {
                prop_assert_eq!(Inventory::read(&inventory.print()), Ok(inventory));
            }
        }
    }
}
