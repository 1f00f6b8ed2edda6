//! The short form of a port, as in `127.0.0.1:8080-8081:80-81/udp`.

use std::net::IpAddr;

use thiserror::Error;

use super::{Port, Protocol};
use crate::net::PortRange;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not `[[ADDRESS:]HOST-PORT:]PORT[/PROTOCOL]`: {reason}")]
pub struct PortError {
    text: String,
    reason: &'static str,
}

/// Reads one text of `ports`.
pub fn port(text: &str) -> Result<Port, PortError> {
    parse(text).map_err(|reason| PortError {
        text: text.to_owned(),
        reason,
    })
}

fn parse(text: &str) -> Result<Port, &'static str> {
    let (text, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let protocol = self::protocol(protocol).ok_or("the protocol is none of tcp, udp, sctp")?;
    let (before, container) = match text.rsplit_once(':') {
        Some((before, container)) => (Some(before), container),
        None => (None, text),
    };
    let container = range(container).ok_or("the container's port is no number from 1 to 65535")?;
    let (address, host) = match before {
        None => (None, ""),
        Some(before) => address_and_host(before)?,
    };
    let host = match host {
        "" => None,
        host => Some(range(host).ok_or("the host's port is no number from 1 to 65535")?),
    };
    Ok(Port {
        address,
        host,
        container,
        protocol,
    })
}

/// Splits what stands before the container's port; an IPv6 address may have brackets.
fn address_and_host(text: &str) -> Result<(Option<IpAddr>, &str), &'static str> {
    let Some((address, host)) = text.rsplit_once(':') else {
        return Ok((None, text));
    };
    Ok((self::address(address)?, host))
}

/// Reads the host's address; the two that stand for all are none.
pub(super) fn address(text: &str) -> Result<Option<IpAddr>, &'static str> {
    let text = text.trim_start_matches('[').trim_end_matches(']');
    if text.is_empty() {
        return Ok(None);
    }
    let address: IpAddr = text.parse().map_err(|_| "the host's address is none")?;
    Ok(Some(address).filter(|address| !address.is_unspecified()))
}

pub(super) fn protocol(text: &str) -> Option<Protocol> {
    match text {
        "sctp" => Some(Protocol::Sctp),
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        _ => None,
    }
}

/// Reads `80` or `80-90`.
pub(super) fn range(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(PortRange { first, last })
}
