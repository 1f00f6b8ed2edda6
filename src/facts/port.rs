//! Published ports, as in `192.0.2.1:8080->80/tcp`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::net::Family;
use crate::syntax::ast::Protocol;

/// One port of the host that leads to one of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublishedPort {
    /// `None` is every address of both families; `0.0.0.0` or `::` every one of its family alone.
    pub address: Option<IpAddr>,
    /// Not 0.
    pub host: u16,
    /// Not 0.
    pub container: u16,
    /// Tcp, udp or sctp.
    pub protocol: Protocol,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no published port such as `192.0.2.1:8080->80/tcp` or `8080->80/tcp`")]
pub struct PortError(String);

const PROTOCOLS: [(&str, Protocol); 3] = [
    ("sctp", Protocol::Sctp),
    ("tcp", Protocol::Tcp),
    ("udp", Protocol::Udp),
];

impl PublishedPort {
    /// Returns whether it is there in a family.
    pub fn is_in(&self, family: Family) -> bool {
        self.address.is_none_or(|address| family.has(address))
    }

    /// Returns its address where it is one alone.
    pub fn single_address(&self) -> Option<IpAddr> {
        self.address.filter(|address| !address.is_unspecified())
    }

    /// Returns how the host's side is written, as in `8080/tcp` or `192.0.2.1:8080/tcp`.
    pub fn outer(&self) -> String {
        let protocol = word(self.protocol);
        match self.address {
            None => format!("{}/{protocol}", self.host),
            Some(address) => format!("{}/{protocol}", SocketAddr::new(address, self.host)),
        }
    }
}

/// Returns how a protocol is written; nothing for one that has no ports.
fn word(protocol: Protocol) -> &'static str {
    let known = PROTOCOLS.iter().find(|(_, known)| *known == protocol);
    known.map_or("", |(word, _)| word)
}

impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, container) = (self.host, self.container);
        match self.address {
            None => write!(f, "{host}")?,
            Some(address) => write!(f, "{}", SocketAddr::new(address, host))?,
        }
        write!(f, "->{container}/{}", word(self.protocol))
    }
}

impl FromStr for PublishedPort {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        parse(text).ok_or_else(|| PortError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<PublishedPort> {
    let (outer, inner) = text.split_once("->")?;
    let (container, protocol) = inner.split_once('/')?;
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (address, host) = match outer.rsplit_once(':') {
        None => (None, outer),
        Some(("", _)) => return None,
        Some((address, host)) => (Some(bare(address)?.parse().ok()?), host),
    };
    let known = PROTOCOLS.iter().find(|(word, _)| *word == protocol);
    Some(PublishedPort {
        address,
        host: port(host)?,
        container: port(container)?,
        protocol: known?.1,
    })
}

/// An IPv6 address stands in brackets, another does not.
fn bare(address: &str) -> Option<&str> {
    let six = address.contains(':');
    let inner = address
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'));
    if six { inner } else { Some(address) }
}

impl From<PublishedPort> for String {
    fn from(port: PublishedPort) -> String {
        port.to_string()
    }
}

impl TryFrom<String> for PublishedPort {
    type Error = PortError;

    fn try_from(text: String) -> Result<Self, PortError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_written_as_they_are_read() {
        for text in [
            "8080->80/tcp",
            "192.0.2.1:8080->80/udp",
            "0.0.0.0:8080->80/sctp",
            "[::]:8080->80/tcp",
            "[2001:db8::1]:65535->1/tcp",
        ] {
            let port: PublishedPort = text.parse().unwrap();
            assert_eq!(port.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_port_is_a_mistake() {
        for text in [
            "80/tcp",
            "80->80",
            "0->80/tcp",
            "80->0/tcp",
            "65536->80/tcp",
            "80->80/icmp",
            ":80->80/tcp",
            "::80->80/tcp",
            "[192.0.2.1:80->80/tcp",
            "[::1]80->80/tcp",
            "80-81->80-81/tcp",
        ] {
            let error = text.parse::<PublishedPort>().unwrap_err();
            assert!(error.to_string().contains(text));
        }
    }

    #[test]
    fn a_port_of_one_family_is_in_no_other() {
        for (text, four, six) in [
            ("80->80/tcp", true, true),
            ("0.0.0.0:80->80/tcp", true, false),
            ("[::]:80->80/tcp", false, true),
            ("192.0.2.1:80->80/tcp", true, false),
        ] {
            let port: PublishedPort = text.parse().unwrap();
            let found = [Family::V4, Family::V6].map(|family| port.is_in(family));
            assert_eq!(found, [four, six], "{text}");
        }
    }
}
