//! Names and addresses of a question, as packets.

use std::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

use super::machine::from_top;

use crate::net::Family;
use crate::netfilter::dump::States;
use crate::netfilter::trace::{Machine, Probe};
use crate::policy::ir::{Container, Policy, Protocol};

/// May `from` connect to `to`? Both are a name of the policy, `outside`, `host` or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question<'q> {
    pub from: &'q str,
    pub to: &'q str,
    /// IANA's number of the protocol.
    pub protocol: u8,
    /// Zero for ICMP.
    pub port: u16,
    /// The interface that the packet arrives by, where its source does not tell.
    pub input: Option<&'q str>,
    pub state: States,
    pub family: Family,
}

/// One way to put a question: a packet, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// As in `by the host's port 8080`; empty where there is only one.
    pub says: String,
    pub probe: Probe,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WhoError {
    #[error("`{0}` is neither an address nor a name of the policy")]
    Unknown(String),
    #[error("`{name}` has no {family} address that is known")]
    NoAddress { name: String, family: Family },
    #[error("`{0}` could come by any interface")]
    NoInput(String),
    #[error("`{0}` is a set, and a bundle holds no addresses of sets")]
    Set(String),
    #[error("`{0}` is not a port and its protocol")]
    Service(String),
}

/// Addresses of a prefix that are tried, one after the other.
const MAX_TRIES: usize = 4_096;

/// Reads `80/tcp`, `icmp` and the like, as protocol and port.
pub fn service(text: &str, family: Family) -> Result<(u8, u16), WhoError> {
    let bad = || WhoError::Service(text.to_owned());
    if text == "icmp" {
        return Ok((if family == Family::V6 { 58 } else { 1 }, 0));
    }
    let (port, protocol) = text.split_once('/').ok_or_else(bad)?;
    let protocol = match protocol {
        "sctp" => 132,
        "tcp" => 6,
        "udp" => 17,
        _ => return Err(bad()),
    };
    Ok((protocol, port.parse().map_err(|_| bad())?))
}

/// Where a policy is known by its bundle, a set is no more than a name.
pub fn no_sets(question: &Question<'_>, policy: &Policy, sets: &[String]) -> Result<(), WhoError> {
    let known = |name: &str| policy.trusts.iter().any(|trust| trust.name == name);
    let bare = |name: &&str| sets.iter().any(|set| set == name) && !known(name);
    match [question.from, question.to].into_iter().find(bare) {
        None => Ok(()),
        Some(name) => Err(WhoError::Set(name.to_owned())),
    }
}

/// Returns the packets that a question is about: for a container that publishes the port both the
/// one to its address and those to the host's port.
pub fn ways(
    question: &Question<'_>,
    policy: Option<&Policy>,
    machine: &Machine,
) -> Result<Vec<Way>, WhoError> {
    let asker = Asker {
        question,
        policy,
        machine,
    };
    let (source, input) = asker.source()?;
    let way = |says: String, destination: IpAddr, port: u16| Way {
        says,
        probe: Probe {
            input: input.clone(),
            source,
            destination,
            protocol: question.protocol,
            source_port: if question.port == 0 { 0 } else { 40_000 },
            port,
            icmp: (
                if question.family == Family::V6 {
                    128
                } else {
                    8
                },
                0,
            ),
            tcp_flags: if question.state == States::NEW { 2 } else { 16 },
            state: question.state,
            mark: 0,
            connmark: 0,
        },
    };
    let mut found = Vec::new();
    let address = asker.address(question.to);
    if let Some(container) = asker.container(question.to) {
        for (at, port) in asker.published(container) {
            found.push(way(format!("by the host's port {port}"), at, port));
        }
        if let (Ok(address), true) = (&address, !found.is_empty()) {
            found.push(way(
                "to its own address".to_owned(),
                *address,
                question.port,
            ));
        }
    }
    if found.is_empty() {
        found.push(way(String::new(), address?, question.port));
    }
    Ok(found)
}

struct Asker<'a> {
    question: &'a Question<'a>,
    policy: Option<&'a Policy>,
    machine: &'a Machine,
}

impl<'a> Asker<'a> {
    fn container(&self, name: &str) -> Option<&'a Container> {
        self.policy?
            .containers
            .iter()
            .find(|container| container.name == name)
    }

    fn family(&self, address: &IpAddr) -> bool {
        self.question.family.has(*address)
    }

    /// Returns the packet's source and the interface that it comes by; none for the host's own.
    fn source(&self) -> Result<(IpAddr, Option<String>), WhoError> {
        let name = self.question.from;
        if name == "host" {
            return Ok((self.host_towards()?, None));
        }
        let address = self.address(name)?;
        let given = self.question.input.map(str::to_owned);
        let routed = || self.machine.route(address).map(str::to_owned);
        let input = given
            .or_else(routed)
            .ok_or_else(|| WhoError::NoInput(name.to_owned()))?;
        Ok((address, Some(input)))
    }

    /// The host's own packets come from the interface that they leave by.
    fn host_towards(&self) -> Result<IpAddr, WhoError> {
        let to = self.address(self.question.to).ok();
        let output = to.and_then(|to| self.machine.route(to));
        let links = self.machine.interfaces.iter();
        let mut fits = links.filter(|link| output.is_none_or(|name| link.name == name));
        let found = fits.find_map(|link| link.addresses.first());
        found
            .map(IpNet::addr)
            .ok_or_else(|| self.no_address("host"))
    }

    fn no_address(&self, name: &str) -> WhoError {
        WhoError::NoAddress {
            name: name.to_owned(),
            family: self.question.family,
        }
    }

    /// Returns one address of a name.
    fn address(&self, name: &str) -> Result<IpAddr, WhoError> {
        if let Ok(address) = name.parse::<IpAddr>() {
            let fits = self.family(&address);
            return fits.then_some(address).ok_or_else(|| self.no_address(name));
        }
        let found = match name {
            "host" => self.host_address(),
            "outside" => self.outside(),
            _ => self.named(name)?,
        };
        found.ok_or_else(|| self.no_address(name))
    }

    fn host_address(&self) -> Option<IpAddr> {
        let links = self
            .machine
            .interfaces
            .iter()
            .filter(|link| link.name != "lo");
        links
            .flat_map(|link| &link.addresses)
            .map(IpNet::addr)
            .next()
    }

    /// Returns an address that is nobody's: in no network, in no set, and not the host's; and that no
    /// rule names, since of a bundle's sets only the rules tell.
    fn outside(&self) -> Option<IpAddr> {
        // Of prefixes for documentation, which some drop altogether, and else somebody's.
        let four = [
            "198.51.100.1",
            "203.0.113.254",
            "192.0.2.254",
            "8.8.8.8",
            "9.9.9.9",
            "1.2.3.4",
        ];
        let six = [
            "2001:db8:ffff::1",
            "2001:db8:fffe::1",
            "2001:4860:4860::8888",
            "2620:fe::9",
        ];
        let all = four
            .iter()
            .chain(&six)
            .filter_map(|text| text.parse::<IpAddr>().ok());
        let nobodys = |address: &IpAddr| {
            let policy = self.policy.into_iter();
            let sets = policy.clone().flat_map(|policy| &policy.trusts);
            let nets = policy
                .flat_map(|policy| &policy.networks)
                .flat_map(|it| &it.subnets);
            !self.machine.is_local(*address)
                && sets.clone().all(|trust| !trust.set.contains(*address))
                && nets.clone().all(|net| !net.contains(address))
                && !self.machine.rules.names(*address)
        };
        let mut fits = all.filter(|address| self.family(address) && nobodys(address));
        fits.next()
    }

    /// Returns an address of a container, a network or a set.
    fn named(&self, name: &str) -> Result<Option<IpAddr>, WhoError> {
        let unknown = || WhoError::Unknown(name.to_owned());
        let policy = self.policy.ok_or_else(unknown)?;
        if let Some(container) = self.container(name) {
            let all = container.attachments.iter().flat_map(|at| &at.addresses);
            return Ok(all.copied().find(|address| self.family(address)));
        }
        if let Some(network) = policy.networks.iter().find(|network| network.name == name) {
            let mut nets = network
                .subnets
                .iter()
                .filter(|net| self.family(&net.addr()));
            // The last one is nobody's in most networks; the first is the bridge's.
            return Ok(nets.next().map(|net| from_top(*net, 0)));
        }
        let trust = policy.trusts.iter().find(|trust| trust.name == name);
        let trust = trust.ok_or_else(unknown)?;
        let four = trust.set.v4_prefixes().into_iter().map(IpNet::V4);
        let six = trust.set.v6_prefixes().into_iter().map(IpNet::V6);
        let mut all = four.into_iter().chain(six);
        Ok(all.find_map(|net| self.member(net)))
    }

    /// Returns the first address of a set's prefix that somebody else may have: not the host, which a set
    /// never holds, nor a container.
    fn member(&self, net: IpNet) -> Option<IpAddr> {
        if !self.family(&net.addr()) {
            return None;
        }
        let networks = self.policy.into_iter().flat_map(|policy| &policy.networks);
        let subnets: Vec<&IpNet> = networks.flat_map(|network| &network.subnets).collect();
        // The subnet's own address is any router's, RFC 4291 section 2.6.1.
        let is_router =
            |at: &IpAddr| at.is_ipv6() && net.prefix_len() < 127 && *at == net.network();
        let mut all = net.hosts().take(MAX_TRIES);
        all.find(|at| {
            let inside = subnets.iter().any(|subnet| subnet.contains(at));
            !self.machine.is_local(*at) && !inside && !is_router(at)
        })
    }

    /// Returns the host's addresses and ports that lead to a container's port.
    fn published(&self, container: &Container) -> Vec<(IpAddr, u16)> {
        let asked = self.question;
        let about = container.exposures.iter().filter(|exposure| {
            number(exposure.protocol) == asked.protocol && exposure.ports.contains(asked.port)
        });
        let mut found = Vec::new();
        for exposure in about {
            let Some(host) = &exposure.published else {
                continue;
            };
            let port = host.ports.first + (asked.port - exposure.ports.first);
            let at = host.address.or_else(|| self.host_address());
            found.extend(at.filter(|at| self.family(at)).map(|at| (at, port)));
        }
        found
    }
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Icmp => 1,
        Protocol::Sctp => 132,
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}
