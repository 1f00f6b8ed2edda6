//! What a machine knows of itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::net::Family;

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

/// What a machine prints of itself.
#[derive(Debug, Clone, Copy)]
pub struct Printed<'t> {
    /// `ip -details -json address`, ip-address(8).
    pub addresses: &'t str,
    /// `ip -json route` of each family, ip-route(8).
    pub routes: [(Family, &'t str); 2],
    /// Files of `/proc/net`, `proc_pid_net(5)`, by their names: `tcp`, `tcp6`, `udp`, `udp6`.
    pub sockets: [(&'t str, &'t str); 4],
}

impl MachineFacts {
    /// Reads what a machine prints of itself.
    ///
    /// Errors: what of ip(8) is not understood. Lines of sockets that are not are left out.
    pub fn read(printed: &Printed<'_>) -> Result<Self, String> {
        let mut routes = Vec::new();
        for (family, text) in printed.routes {
            routes.extend(default_routes(family, text)?);
        }
        routes.sort();
        routes.dedup();
        let files = printed.sockets.iter();
        let sockets = files.flat_map(|(name, text)| text.lines().filter_map(|it| socket(name, it)));
        let mut sockets: Vec<Socket> = sockets.collect();
        sockets.sort();
        sockets.dedup();
        Ok(MachineFacts {
            interfaces: interfaces(printed.addresses)?,
            routes,
            sockets,
        })
    }

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

#[derive(Deserialize)]
struct IpLink {
    ifname: Option<String>,
    master: Option<String>,
    linkinfo: Option<IpLinkInfo>,
    #[serde(default)]
    addr_info: Vec<IpAddress>,
}

#[derive(Deserialize)]
struct IpLinkInfo {
    info_kind: Option<String>,
}

#[derive(Deserialize)]
struct IpAddress {
    local: Option<IpAddr>,
    prefixlen: Option<u8>,
}

fn interfaces(text: &str) -> Result<BTreeMap<String, Interface>, String> {
    let all: Vec<IpLink> = parse(text)?;
    let net = |address: &IpAddress| IpNet::new(address.local?, address.prefixlen?).ok();
    let link = |link: IpLink| {
        let interface = Interface {
            kind: link.linkinfo.and_then(|info| info.info_kind),
            master: link.master,
            addresses: link.addr_info.iter().filter_map(net).collect(),
        };
        Some((link.ifname?, interface))
    };
    Ok(all.into_iter().filter_map(link).collect())
}

#[derive(Deserialize)]
struct IpRoute {
    dst: String,
    gateway: Option<IpAddr>,
    dev: Option<String>,
    #[serde(default)]
    nexthops: Vec<IpHop>,
}

/// One of several ways of the same route.
#[derive(Deserialize)]
struct IpHop {
    gateway: Option<IpAddr>,
    dev: Option<String>,
}

fn default_routes(family: Family, text: &str) -> Result<Vec<DefaultRoute>, String> {
    let all: Vec<IpRoute> = parse(text)?;
    let defaults = all.into_iter().filter(|route| route.dst == "default");
    let hops = defaults.flat_map(|route| {
        let first = IpHop {
            gateway: route.gateway,
            dev: route.dev,
        };
        [first].into_iter().chain(route.nexthops)
    });
    let route = |hop: IpHop| {
        Some(DefaultRoute {
            device: hop.dev?,
            via: hop.gateway,
            v6: family == Family::V6,
        })
    };
    Ok(hops.filter_map(route).collect())
}

fn parse<T: for<'d> Deserialize<'d>>(text: &str) -> Result<Vec<T>, String> {
    // An empty table is no text at all.
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(text).map_err(|error| format!("what ip(8) printed: {error}"))
}

/// A state of a TCP socket and of a UDP socket that is connected to nobody; `include/net/tcp_states.h`.
const LISTENS: &str = "0A";
const UNCONNECTED: &str = "07";

/// Reads a line of `/proc/net/tcp` and its like, if its socket takes what anybody sends.
fn socket(file: &str, line: &str) -> Option<Socket> {
    let protocol = file.trim_end_matches('6');
    let mut fields = line.split_whitespace().skip(1);
    let (local, state) = (fields.next()?, fields.nth(1)?);
    let wanted = if protocol == "tcp" {
        LISTENS
    } else {
        UNCONNECTED
    };
    let (address, port) = local.split_once(':')?;
    let socket = Socket {
        protocol: protocol.to_owned(),
        address: address_of(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
    };
    (state == wanted).then_some(socket)
}

/// Reads an address in words of 32 bits, each with its bytes in the order of the machine.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match hex.len() {
        8 => word(0).map(|bytes| Ipv4Addr::from(bytes).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: &str = r#"[
        {"ifname": "lo", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8}]},
        {"ifname": "eth0", "addr_info": [{"local": "192.0.2.1", "prefixlen": 24}]},
        {"ifname": "br-shop", "linkinfo": {"info_kind": "bridge"}, "addr_info": []},
        {"ifname": "veth1", "master": "br-shop", "linkinfo": {"info_kind": "veth"}}]"#;
    const ROUTES: &str = r#"[{"dst": "default", "gateway": "192.0.2.254", "dev": "eth0"},
        {"dst": "198.51.100.0/24", "dev": "wg0"}]"#;
    const HOPS: &str = r#"[{"dst": "default", "nexthops": [
        {"gateway": "fe80::1", "dev": "eth0"}, {"gateway": "fe80::2", "dev": "eth1"}]}]"#;

    #[test]
    fn a_machine_is_read_as_it_prints_itself() {
        let four = u32::from_ne_bytes([0, 0, 0, 0]);
        let local = u32::from_ne_bytes([127, 0, 0, 1]);
        let six = u32::from_ne_bytes([0, 0, 0, 1]);
        let head = "  sl  local_address rem_address   st tx_queue rx_queue\n";
        let tcp = format!(
            "{head}   0: {four:08X}:0016 00000000:0000 0A 0\n   1: {local:08X}:0050 0100007F:1234 01 0\n"
        );
        let udp6 = format!("{head}   0: 000000000000000000000000{six:08X}:0035 0:0000 07 0\n");
        let printed = Printed {
            addresses: ADDRESSES,
            routes: [(Family::V4, ROUTES), (Family::V6, HOPS)],
            sockets: [("tcp", &tcp), ("tcp6", ""), ("udp", ""), ("udp6", &udp6)],
        };
        let machine = MachineFacts::read(&printed).unwrap();
        assert_eq!(
            machine.interfaces["br-shop"].kind.as_deref(),
            Some("bridge")
        );
        assert_eq!(
            machine.interfaces["veth1"].master.as_deref(),
            Some("br-shop")
        );
        let routes = machine.routes.iter().map(|it| (it.device.as_str(), it.v6));
        let routes: Vec<_> = routes.collect();
        assert_eq!(routes, [("eth0", false), ("eth0", true), ("eth1", true)]);
        let sockets = machine.sockets.iter();
        let sockets: Vec<String> = sockets
            .map(|it| format!("{} {} {}", it.protocol, it.address, it.port))
            .collect();
        assert_eq!(sockets, ["tcp 0.0.0.0 22", "udp ::1 53"]);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let printed = Printed {
            addresses: "{}",
            routes: [(Family::V4, ""), (Family::V6, "")],
            sockets: [("tcp", ""), ("tcp6", ""), ("udp", ""), ("udp6", "x: y\n")],
        };
        let error = MachineFacts::read(&printed).unwrap_err();
        assert!(error.contains("ip(8)"), "{error}");
    }
}
