//! What a machine knows of itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Interfaces, ways out and listening sockets of the machine's own network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineFacts {
    /// By name.
    #[serde(default)]
    pub interfaces: BTreeMap<String, Interface>,
    /// Default routes of the main table, sorted.
    #[serde(default)]
    pub routes: Vec<DefaultRoute>,
    /// Sorted.
    #[serde(default)]
    pub sockets: Vec<Socket>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// As in `bridge`, `veth` or `wireguard`, ip-link(8); none for hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The bridge, bond or VRF that it is a port of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// With the length of the prefix, host bits kept.
    #[serde(default)]
    pub addresses: Vec<IpNet>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultRoute {
    /// The interface.
    pub device: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
    /// It is of IPv6; a way without a gateway does not tell by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub v6: bool,
}

/// A socket that listens, or that takes datagrams from anybody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Socket {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// `0.0.0.0` and `::` are every one; the kernel lets `::` take IPv4, too, unless told otherwise.
    pub address: IpAddr,
    pub port: u16,
}

impl MachineFacts {
    /// Returns whether the machine itself has an address.
    pub fn has(&self, address: IpAddr) -> bool {
        let mut all = self.interfaces.values().flat_map(|it| &it.addresses);
        all.any(|net| net.addr() == address)
    }

    /// Returns the interfaces that are ports of a bridge or another master, by name.
    pub fn ports_of(&self, master: &str) -> impl Iterator<Item = (&str, &Interface)> {
        let ports = self.interfaces.iter();
        let ports = ports.filter(move |(_, it)| it.master.as_deref() == Some(master));
        ports.map(|(name, it)| (name.as_str(), it))
    }
}
