//! Compose files: what of them a policy is about. The form is that of the Compose Specification.

mod merge;
mod ports;
mod service;
#[cfg(test)]
mod tests;
mod values;
mod variables;

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_yaml::Value;
use thiserror::Error;

use crate::net::PortRange;

pub use ports::{PortError, port};
pub use variables::{Variables, dotenv, interpolate};

/// Largest file that is read, in bytes.
pub const MAX_BYTES: u64 = 4 << 20;

/// All files of a project as one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Project {
    pub name: String,
    pub services: BTreeMap<String, Service>,
    /// By the name in the file; `default` is there where a service uses it.
    pub networks: BTreeMap<String, Network>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// `container_name`.
    pub container: Option<String>,
    pub replicas: u32,
    /// `network_mode`: `host`, `none`, `bridge`, `service:NAME` or `container:NAME`.
    pub mode: Option<String>,
    /// Fixed addresses by network.
    pub networks: BTreeMap<String, Vec<IpAddr>>,
    pub ports: Vec<Port>,
    pub expose: Vec<(PortRange, Protocol)>,
    /// Names of services.
    pub links: Vec<String>,
    pub depends_on: Vec<String>,
    /// It is started only when one of these is asked for.
    pub profiles: Vec<String>,
}

/// One entry of `ports`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub address: Option<IpAddr>,
    /// Nothing where Docker picks one.
    pub host: Option<PortRange>,
    pub container: PortRange,
    pub protocol: Protocol,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    #[default]
    Tcp,
    Sctp,
    Udp,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Sctp => "sctp",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// What the engine calls it.
    pub name: String,
    /// Docker's driver; `bridge` where the file does not say.
    pub driver: Option<String>,
    pub bridge: Option<String>,
    pub subnets: Vec<IpNet>,
    pub icc: bool,
    pub internal: bool,
    /// Somebody else makes it.
    pub external: bool,
}

/// What is wrong with a file, and where: a path as in `services.web.ports[0]`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}: {}{message}", place(.path))]
pub struct ComposeError {
    pub file: String,
    pub path: String,
    pub message: String,
}

fn place(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("{path}: ")
    }
}

/// Reads a project from its files, each a name and a text, later ones on top of earlier ones.
///
/// `name` is the project's where no file names it. Keys that say nothing about the network are read
/// past.
pub fn read(
    files: &[(String, String)],
    name: &str,
    variables: &Variables,
) -> Result<Project, ComposeError> {
    let mut all = Value::Null;
    let mut last = String::new();
    for (file, text) in files {
        last.clone_from(file);
        let value = merge::parse(file, text, variables)?;
        all = merge::onto(all, value);
    }
    let failed = |(path, message): (String, String)| ComposeError {
        file: last.clone(),
        path,
        message,
    };
    service::project(&all, name).map_err(failed)
}

impl Project {
    /// Returns what the engine calls a service's containers.
    pub fn containers(&self, name: &str) -> Vec<String> {
        let Some(service) = self.services.get(name) else {
            return Vec::new();
        };
        match &service.container {
            Some(container) => vec![container.clone()],
            None => (1..=service.replicas.max(1))
                .map(|number| format!("{}-{name}-{number}", self.name))
                .collect(),
        }
    }
}
