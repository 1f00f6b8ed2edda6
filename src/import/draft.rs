//! What is known of a host before it has a policy.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::compose::Protocol;
use crate::net::PortRange;

/// Networks and containers in the order that a policy names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// Where it comes from, as in `compose.yaml`.
    pub origin: String,
    pub networks: Vec<Network>,
    pub containers: Vec<Container>,
    /// What no policy can govern, each with the reason.
    pub left_out: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// The policy's name for it.
    pub name: String,
    /// What the engine calls it.
    pub engine_name: String,
    pub bridge: Option<String>,
    pub subnets: Vec<IpNet>,
    pub icc: bool,
    pub internal: bool,
    /// What a reader should know, in one line.
    pub note: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    /// Networks by the policy's names, with the addresses that are fixed there.
    pub networks: Vec<(String, Vec<IpAddr>)>,
    pub published: Vec<Published>,
    pub exposed: Vec<(PortRange, Protocol)>,
    /// Containers that it is linked to.
    pub links: Vec<String>,
    /// Containers that must run before it.
    pub needs: Vec<String>,
    /// What a reader should know, one line each.
    pub notes: Vec<String>,
}

/// A port of the host that leads to one of the container's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub address: Option<IpAddr>,
    pub host: PortRange,
    pub container: PortRange,
    pub protocol: Protocol,
}

impl Draft {
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == name)
    }

    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers
            .iter()
            .find(|container| container.name == name)
    }
}

/// Returns a name that the language takes: letters, digits, `-`, `_` and `.`, at most 64 of them.
pub(super) fn word(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let word: String = text
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .take(64)
        .collect();
    if word.is_empty() {
        "-".to_owned()
    } else {
        word
    }
}
