//! Sends one packet through all tables of a machine, as the kernel would.
//!
//! The order of hooks and tables is that of `nf_ip_hook_priorities` in the kernel's
//! `netfilter_ipv4.h`; what each rule does is in iptables-extensions(8).

mod chain;
mod conditions;
mod forks;
mod journey;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::Family;
use super::dump::{Dump, Opaque, States};

pub use forks::{MAX_ENDS, traces, traces_to};

/// What of a machine decides where its packets go.
#[derive(Debug, Clone)]
pub struct Machine {
    pub family: Family,
    pub rules: Dump,
    pub interfaces: Vec<Link>,
    /// By prefix, with the interface that leads there; those of the interfaces' own addresses are
    /// understood.
    pub routes: Vec<(IpNet, String)>,
}

/// An interface and the addresses that the host has on it, each with the length of its subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub name: String,
    pub addresses: Vec<IpNet>,
}

/// The packet as it enters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The interface that it arrives by; nothing for one of the host's own.
    pub input: Option<String>,
    pub source: IpAddr,
    pub destination: IpAddr,
    /// IANA's number.
    pub protocol: u8,
    /// Zero where the protocol has no ports, as `port`.
    pub source_port: u16,
    pub port: u16,
    /// Type and code.
    pub icmp: (u8, u8),
    /// The flags of TCP, RFC 9293; `SYN` for the first packet of a connection.
    pub tcp_flags: u8,
    /// One of the five states that a packet can be in.
    pub state: States,
    pub mark: u32,
    pub connmark: u32,
}

/// Where a packet ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It leaves by an interface.
    Out(String),
    /// A process of the host gets it.
    Host,
    Dropped,
    /// With the name of the answer.
    Rejected(String),
    /// No route leads to its destination.
    NoRoute,
    /// An address of loopback from elsewhere, or in IPv4 one of the host's own, which the kernel drops
    /// before it routes.
    Martian,
    /// At a target that this evaluator does not know.
    Unknown(String),
    /// Rules lead in a circle, which the kernel refuses to load, or through more rules than are told.
    Endless,
}

impl End {
    /// Tells whether somebody gets the packet.
    pub fn arrives(&self) -> bool {
        matches!(self, End::Out(_) | End::Host)
    }
}

/// What a rule did to the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The packet comes to a hook of a table.
    Hook,
    /// A rule matched; by its number in the chain, from 1.
    Rule(usize),
    /// No rule of the kernel's chain decided.
    Policy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub table: &'static str,
    pub chain: String,
    pub event: Event,
    /// The packet's destination behind the step, where the step changed it.
    pub translated: Option<(IpAddr, u16)>,
    /// The packet's source behind the step, where the step changed it.
    pub masked: Option<IpAddr>,
}

/// What a match is taken to answer where only the kernel can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumption {
    pub what: Opaque,
    pub holds: bool,
}

/// One way that the packet may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub steps: Vec<Step>,
    pub end: End,
    /// In the order that the packet met them.
    pub assumptions: Vec<Assumption>,
    /// Its source and destination as they are at the end.
    pub source: IpAddr,
    pub destination: (IpAddr, u16),
}

impl Machine {
    /// Returns whether an address is the host's own.
    pub fn is_local(&self, address: IpAddr) -> bool {
        let mut all = self.interfaces.iter().flat_map(|link| &link.addresses);
        let own = is_loopback(address) || all.any(|net| net.addr() == address);
        own && address != LOOPBACK_BROADCAST
    }

    /// Returns whether an address is that of any router on a subnet of the host's, which a host that forwards
    /// takes for its own; RFC 4291 section 2.6.1, and `addrconf_join_anycast` of the kernel.
    pub fn is_any_routers(&self, address: IpAddr) -> bool {
        let mut nets = self.interfaces.iter().flat_map(|link| &link.addresses);
        address.is_ipv6() && nets.any(|net| net.prefix_len() < 127 && net.network() == address)
    }

    /// Returns the interface that leads to an address, by the longest prefix; of equal ones the last.
    pub fn route(&self, address: IpAddr) -> Option<&str> {
        let all = self.all_routes().into_iter();
        let fits = all.filter(|(net, _)| net.contains(&address));
        let best = fits.max_by_key(|(net, _)| net.prefix_len());
        best.map(|(_, name)| name)
    }

    /// Returns the routes with those of the interfaces' own addresses, and of their subnets' broadcasts,
    /// which the kernel looks up before all others (`fib_add_ifaddr`).
    pub fn all_routes(&self) -> Vec<(IpNet, &str)> {
        let mut all = Vec::with_capacity(self.routes.len());
        for link in &self.interfaces {
            all.extend(link.addresses.iter().map(|net| (*net, link.name.as_str())));
        }
        all.extend(self.routes.iter().map(|(net, name)| (*net, name.as_str())));
        for link in &self.interfaces {
            let nets = link.addresses.iter().filter(|net| has_broadcast(net));
            all.extend(nets.map(|net| (net.broadcast().into(), link.name.as_str())));
        }
        all
    }

    fn link(&self, interface: &str) -> Option<&Link> {
        self.interfaces.iter().find(|link| link.name == interface)
    }

    fn has(&self, interface: &str) -> bool {
        self.link(interface).is_some()
    }

    fn address_of(&self, interface: &str) -> Option<IpAddr> {
        let link = self.link(interface)?;
        link.addresses.first().map(IpNet::addr)
    }

    /// Returns what MASQUERADE makes of a source. Loopback has no address that others could answer to, so
    /// the first of any other interface is taken (`inet_select_addr` of the kernel), and in IPv6 the
    /// destination itself (`ipv6_dev_get_saddr`).
    fn masquerade(&self, interface: &str, to: IpAddr) -> Option<IpAddr> {
        if interface != "lo" {
            return self.address_of(interface);
        }
        let firsts = self
            .interfaces
            .iter()
            .filter_map(|link| link.addresses.first());
        let mut others = firsts.map(IpNet::addr).filter(|it| !it.is_loopback());
        if to.is_ipv6() {
            Some(to)
        } else {
            others.next()
        }
    }

    fn is_broadcast(&self, address: IpAddr) -> bool {
        let mut nets = self.interfaces.iter().flat_map(|link| &link.addresses);
        match address {
            IpAddr::V4(four) => {
                four.is_broadcast()
                    || address == LOOPBACK_BROADCAST
                    || nets.any(|net| has_broadcast(net) && net.broadcast() == address)
            }
            IpAddr::V6(_) => false,
        }
    }
}

/// The kernel takes the last address of 127.0.0.0/8 for one of all; `fib_add_ifaddr`.
pub const LOOPBACK_BROADCAST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 255, 255, 255));

fn has_broadcast(net: &IpNet) -> bool {
    net.addr().is_ipv4() && net.prefix_len() < 31
}

fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback()
}
