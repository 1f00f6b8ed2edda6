//! `parties.json`: whom the rules of a bundle are about: what a reader needs to tell addresses from names.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::lines::{array, block, named};
use crate::netfilter::Family;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parties {
    pub uplinks: Vec<String>,
    pub networks: Vec<NetworkEntry>,
    pub containers: Vec<ContainerEntry>,
    /// Names of sets alone; their addresses can be many, and stand in the rules.
    pub sets: Vec<String>,
    /// Connections that stand for what the policy opens on the host.
    pub openings: Vec<Opening>,
}

impl Parties {
    /// Writes them with a line for each network and container.
    pub(super) fn text(&self) -> String {
        let parts = [
            named("uplinks", &array(&self.uplinks)),
            named("networks", &array(&self.networks)),
            named("containers", &array(&self.containers)),
            named("sets", &array(&self.sets)),
            named("openings", &array(&self.openings)),
        ];
        block(['{', '}'], parts.into_iter()) + "\n"
    }
}

/// A new connection to the host that the policy opens, with somebody who stands for all of a party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// In the policy's words.
    pub says: String,
    /// `file:line`.
    pub source: String,
    pub family: Family,
    /// Nothing for a stranger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// The bridge that it comes by; nothing where the way to `from` tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whose published port it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Nothing for any address of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<IpAddr>,
    /// `sctp`, `tcp` or `udp`.
    pub protocol: String,
    pub port: u16,
}

impl Opening {
    /// A bundle has no more of them: as many as anybody reads.
    pub const MOST: usize = 256;
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
