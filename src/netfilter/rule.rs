//! Rules, chains and hooks as values.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::{ChainName, Family, Place, Table};
use crate::net::PortRange;
use crate::policy::ir::{ForwardPolicy, IfName, Protocol};
use crate::source::Span;

/// One rule: every match that is present must hold. Each kind of match occurs at most once, in the
/// order in which iptables-save prints them, so that there is one way to write a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Rule {
    pub source: Option<IpNet>,
    pub destination: Option<IpNet>,
    /// The source lies in one of many prefixes: a draft's rule, of which `optimise` makes rules that
    /// iptables has.
    pub sources: Option<Arc<[IpNet]>>,
    /// The same of the destination.
    pub destinations: Option<Arc<[IpNet]>>,
    pub input: Option<Interface>,
    pub output: Option<Interface>,
    pub service: Option<Service>,
    /// The destination port lies in one of these (`multiport`), with a service of all ports.
    pub ports: Option<Arc<[PortRange]>>,
    /// The destination is an address of the host itself.
    pub to_local: bool,
    pub conntrack: Option<Conntrack>,
    /// The grant bit must be set in the connection's mark.
    pub connmark: bool,
    /// The grant bit must be set in the packet's mark.
    pub mark: bool,
    pub limit: Option<Limit>,
    pub over: Option<Over>,
    pub target: Target,
    pub origin: Option<Origin>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Interface {
    pub name: IfName,
    /// Every interface is meant whose name begins so.
    pub begins: bool,
    pub not: bool,
}

impl Interface {
    pub(super) fn named(name: &IfName) -> Self {
        Interface {
            name: name.clone(),
            begins: false,
            not: false,
        }
    }

    pub(super) fn beginning(start: &str) -> Self {
        Interface {
            begins: true,
            ..Interface::named(&IfName(start.to_owned()))
        }
    }

    pub(super) fn lo() -> Self {
        Interface::named(&IfName("lo".to_owned()))
    }
}

/// A protocol and what its header must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    All(Protocol),
    Icmp(u8),
    To(Protocol, PortRange),
    /// The source port: only for replies in `raw`, where no connection is known yet.
    From(Protocol, PortRange),
}

/// What connection tracking must say; see `conntrack` in iptables-extensions(8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conntrack {
    /// RELATED or ESTABLISHED.
    Known,
    /// Changed by destination NAT.
    Dnat,
    /// Not changed by destination NAT.
    NotDnat,
    /// Changed by destination NAT, in the original direction, and first sent to this port, and to
    /// this address where one is given.
    Published {
        address: Option<IpAddr>,
        ports: PortRange,
    },
}

/// At most one packet in `period` ten-thousandths of a second on average, in bursts of five; the
/// unit is `XT_LIMIT_SCALE` of the kernel's `xt_limit.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    pub period: u32,
}

/// More connections than a limit has, `hashlimit` and `connlimit` in iptables-extensions(8).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Over {
    Connections {
        /// The most that there may be at once.
        count: u32,
        /// Length of the prefix that is one source; 0 takes all together.
        sources: u8,
    },
    Rate {
        /// Millionths of a second between two connections on average (`XT_HASHLIMIT_SCALE_v2`).
        period: u64,
        burst: u32,
        /// Length of the prefix that is one source; `None` takes all together.
        sources: Option<u8>,
        /// The kernel's counters, shared by all rules that name them.
        name: String,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Accept,
    #[default]
    Drop,
    /// Clears the grant bit of the packet's mark.
    ClearMark,
    /// Sends the connection to another address, and to another port where one is given.
    Dnat {
        address: IpAddr,
        port: Option<u16>,
    },
    Goto(ChainName),
    Jump(ChainName),
    /// Writes to the kernel log and goes on; the prefix has at most 29 bytes.
    Log(String),
    /// Gives the connection an address of the host on the interface that it leaves by.
    Masquerade,
    Return,
    /// Sets the grant bit in the connection's mark.
    SaveMark,
    /// Sets the grant bit in the packet's mark.
    SetMark,
}

/// Why a rule is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    pub span: Span,
    /// What it says in the policy's words.
    pub says: Arc<str>,
}

/// A jump into one of our chains from a chain that others share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub table: Table,
    pub chain: &'static str,
    pub target: ChainName,
    pub place: Place,
    /// What it is for, in the policy's words.
    pub says: &'static str,
}

/// Everything tidegate has in one family.
#[derive(Debug, Clone)]
pub struct Ruleset {
    pub family: Family,
    /// The one bit that marks granted packets and connections.
    pub grant: u32,
    pub chains: BTreeMap<(Table, ChainName), Vec<Rule>>,
    pub hooks: Vec<Hook>,
    pub forward: Option<ForwardPolicy>,
}

impl Ruleset {
    /// Returns the chains of one table by name.
    pub fn table(&self, table: Table) -> impl Iterator<Item = (&ChainName, &Vec<Rule>)> {
        let here = self.chains.iter().filter(move |((at, _), _)| *at == table);
        here.map(|((_, name), rules)| (name, rules))
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Service::All(protocol) => write!(f, "{}", protocol_word(*protocol)),
            Service::Icmp(kind) => write!(f, "icmp type {kind}"),
            Service::From(protocol, ports) | Service::To(protocol, ports) => {
                write!(f, "{ports}/{}", protocol_word(*protocol))
            }
        }
    }
}

/// Returns a protocol's name in the policy language.
pub(super) fn protocol_word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Icmp => "icmp",
        Protocol::Sctp => "sctp",
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}
