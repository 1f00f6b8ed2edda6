//! `parties.json`: whom the rules of a bundle are about: what a reader needs to tell addresses from names.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::lines::{array, block, named};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parties {
    pub uplinks: Vec<String>,
    pub networks: Vec<NetworkEntry>,
    pub containers: Vec<ContainerEntry>,
    /// Names of sets alone; their addresses can be many, and stand in the rules.
    pub sets: Vec<String>,
}

impl Parties {
    /// Writes them with a line for each network and container.
    pub(super) fn text(&self) -> String {
        let parts = [
            named("uplinks", &array(&self.uplinks)),
            named("networks", &array(&self.networks)),
            named("containers", &array(&self.containers)),
            named("sets", &array(&self.sets)),
        ];
        block(['{', '}'], parts.into_iter()) + "\n"
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkEntry {
    pub name: String,
    pub bridge: String,
    /// False when it is on another host of the policy.
    pub local: bool,
    pub icc: bool,
    pub subnets: Vec<IpNet>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerEntry {
    pub name: String,
    /// In the order written: the first one leads to its published ports.
    pub networks: Vec<AttachmentEntry>,
    /// Published ones, as in `192.0.2.1:8080->80/tcp`.
    pub ports: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachmentEntry {
    pub network: String,
    /// Those that the policy fixes, and of an inventory's those that a rule names.
    pub addresses: Vec<IpAddr>,
}
