//! Any rules of iptables as values: what iptables-save(8), `iptables -S` or a person wrote.
//!
//! Everything is kept. A match that this reader does not know stays in the rule as its text, so
//! that whoever evaluates the rule can take both of its answers into account.

mod bounds;
mod conditions;
mod lines;
mod names;
mod numbers;
mod options;
mod protocols;
mod spellings;
mod target;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use ipnet::IpNet;

pub use super::save::ChainPolicy;
pub use lines::{DumpError, DumpErrorKind, is_nft, read};

use crate::net::PortRange;

/// The tables of one family, by name: `filter`, `mangle`, `nat`, `raw` and `security`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dump {
    pub tables: BTreeMap<String, DumpTable>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DumpTable {
    pub chains: BTreeMap<String, DumpChain>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DumpChain {
    /// Only chains of the kernel have one.
    pub policy: Option<ChainPolicy>,
    /// A deque, since a text may put each rule in front of all others.
    pub rules: VecDeque<DumpRule>,
}

/// One rule: all conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpRule {
    /// Line of the text, from 1.
    pub line: usize,
    /// The rule as written, without `-A CHAIN `.
    pub text: String,
    pub conditions: Vec<Condition>,
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub not: bool,
    pub test: Test,
}

/// What a packet is asked; the names of iptables(8) and iptables-extensions(8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Any of the prefixes.
    Source(Vec<IpNet>),
    Destination(Vec<IpNet>),
    /// Both ends within.
    SourceRange(IpAddr, IpAddr),
    DestinationRange(IpAddr, IpAddr),
    Input(Pattern),
    Output(Pattern),
    /// Number of the protocol, IANA's "Assigned Internet Protocol Numbers".
    Protocol(u8),
    SourcePort(Vec<PortRange>),
    DestinationPort(Vec<PortRange>),
    /// The source port or the destination port.
    EitherPort(Vec<PortRange>),
    /// Of the flags in `mask`, exactly those of `set`.
    TcpFlags {
        mask: u8,
        set: u8,
    },
    /// Type and, where there is one, code; nothing for `any`.
    Icmp(Option<(u8, Option<u8>)>),
    Conntrack(States),
    /// The packet runs in the direction of its connection's first one.
    Original,
    /// The destination of the connection's first packet, before any translation.
    OriginalDestination(IpNet),
    OriginalDestinationPort(PortRange),
    OriginalSource(IpNet),
    Mark {
        value: u32,
        mask: u32,
    },
    ConnMark {
        value: u32,
        mask: u32,
    },
    SourceType(Vec<AddressType>),
    DestinationType(Vec<AddressType>),
    Opaque(Opaque),
}

/// A match that only the kernel can answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opaque {
    pub text: String,
    /// Its answer depends on more than the packet: on time, chance or on what came before.
    pub stateful: bool,
}

/// The name of an interface, or its beginning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    pub name: String,
    /// Every name that begins with this one; the kernel's `+`.
    pub prefix: bool,
}

impl Pattern {
    pub fn matches(&self, name: &str) -> bool {
        if self.prefix {
            name.starts_with(&self.name)
        } else {
            name == self.name
        }
    }
}

/// Any of some states of a connection, `--ctstate` in iptables-extensions(8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct States(u8);

impl States {
    pub const NEW: States = States(1);
    pub const ESTABLISHED: States = States(2);
    pub const RELATED: States = States(4);
    pub const INVALID: States = States(8);
    pub const UNTRACKED: States = States(16);
    /// The source was translated.
    pub const SNAT: States = States(32);
    /// The destination was translated.
    pub const DNAT: States = States(64);

    #[must_use]
    pub fn with(self, other: States) -> States {
        States(self.0 | other.0)
    }

    pub fn overlaps(self, other: States) -> bool {
        self.0 & other.0 != 0
    }
}

/// What an address is to this host, `addrtype` in iptables-extensions(8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressType {
    Broadcast,
    Local,
    Multicast,
    Unicast,
}

/// What happens to a packet for which all conditions of a rule hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Action {
    Accept,
    Drop,
    /// With the name of the answer.
    Reject(String),
    Return,
    Jump(String),
    Goto(String),
    Dnat(Translation),
    Snat(Translation),
    Masquerade,
    /// To the same host, and to another port where one is given.
    Redirect(Option<PortRange>),
    /// The packet's connection is not tracked.
    NoTrack,
    /// The mark becomes `(mark & !clear) ^ flip`; `--set-xmark` in iptables-extensions(8).
    Mark {
        flip: u32,
        clear: u32,
    },
    ConnMark {
        flip: u32,
        clear: u32,
    },
    /// The connection's mark becomes `(ctmark & !to) ^ (mark & from)`.
    SaveMark {
        from: u32,
        to: u32,
    },
    /// The packet's mark becomes `(mark & !to) ^ (ctmark & from)`.
    RestoreMark {
        from: u32,
        to: u32,
    },
    /// The packet goes on to the next rule, unchanged in all that rules here look at: no target, LOG
    /// and the like.
    #[default]
    Continue,
    /// A target that this reader does not know: the packet may end there or go on.
    Opaque(String),
}

/// A new address, a new port, or both; ranges where the kernel may choose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Translation {
    /// Both ends within.
    pub addresses: Option<(IpAddr, IpAddr)>,
    pub ports: Option<PortRange>,
}

impl Dump {
    pub fn chain(&self, table: &str, chain: &str) -> Option<&DumpChain> {
        self.tables.get(table)?.chains.get(chain)
    }

    /// Tells whether a rule is about an address more than about all others.
    pub fn names(&self, address: IpAddr) -> bool {
        let within = |nets: &[IpNet]| {
            let mut nets = nets.iter().filter(|net| net.prefix_len() > 0);
            nets.any(|net| net.contains(&address))
        };
        let is_about = |condition: &Condition| match &condition.test {
            Test::Source(nets) | Test::Destination(nets) => within(nets),
            Test::SourceRange(first, last) | Test::DestinationRange(first, last) => {
                (first..=last).contains(&&address)
            }
            Test::OriginalSource(net) | Test::OriginalDestination(net) => {
                within(std::slice::from_ref(net))
            }
            _ => false,
        };
        let chains = self.tables.values().flat_map(|table| table.chains.values());
        let mut rules = chains.flat_map(|chain| &chain.rules);
        rules.any(|rule| rule.conditions.iter().any(is_about))
    }

    /// Returns how many rules there are.
    pub fn rule_count(&self) -> usize {
        let chains = self.tables.values().flat_map(|table| table.chains.values());
        chains.map(|chain| chain.rules.len()).sum()
    }
}
