//! The policy as it was written: names are not yet looked up, and every part knows its place.

use crate::source::Span;

/// A value with its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    pub node: T,
    pub span: Span,
}

pub type Name = Spanned<String>;

/// One file's items in the order written. Items that could not be read are left out; the
/// diagnostics say so.
#[derive(Debug, Clone, Default)]
pub struct File {
    pub items: Vec<Item>,
    /// Names that items which could not be read would have declared: to use one is no further
    /// mistake.
    pub lost: Vec<Name>,
}

#[derive(Debug, Clone)]
pub enum Item {
    Access(Access),
    Container(Container),
    Expect(Expect),
    Host(Host),
    Include(Include),
    Network(Network),
    Trust(Trust),
}

/// `include "PATH"`.
#[derive(Debug, Clone)]
pub struct Include {
    pub path: Spanned<String>,
    pub span: Span,
}

/// `host [NAME] { … }`.
#[derive(Debug, Clone)]
pub struct Host {
    pub name: Option<Name>,
    pub settings: Vec<Spanned<HostSetting>>,
    pub span: Span,
}

#[derive(Debug, Clone)]
pub enum HostSetting {
    /// `engine docker [VERSION] [nftables]` or `engine none`.
    Engine {
        docker: bool,
        version: Option<Spanned<String>>,
        nftables: bool,
    },
    Forward(ForwardPolicy),
    Forwarding(bool),
    LogDenied(Option<Spanned<Rate>>),
    /// `mark 0x…` or decimal.
    Mark(Spanned<u64>),
    Others(Others),
    Route {
        prefix: Spanned<String>,
        via: Spanned<String>,
        dev: Option<Name>,
    },
    Sysctl {
        key: Spanned<String>,
        value: Spanned<String>,
    },
    Uplink(Vec<Name>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardPolicy {
    Accept,
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    Closed,
    Drop,
    Leave,
}

/// `N/UNIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub unit: RateUnit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateUnit {
    Day,
    Hour,
    Minute,
    Second,
}

/// `trust NAME { … }`.
#[derive(Debug, Clone)]
pub struct Trust {
    pub name: Name,
    pub members: Vec<Spanned<Member>>,
    pub span: Span,
}

/// One line of a trust set. Address texts are checked when names are resolved.
#[derive(Debug, Clone)]
pub enum Member {
    /// An address or a prefix, as written.
    Address(String),
    Except(Box<Spanned<Member>>),
    File(String),
    /// `a-b`, both ends as written.
    Range(Spanned<String>, Spanned<String>),
    /// The name of another set.
    Set(String),
}

/// `network NAME [on HOST] { … }`.
#[derive(Debug, Clone)]
pub struct Network {
    pub name: Name,
    pub host: Option<Name>,
    pub settings: Vec<Spanned<NetworkSetting>>,
    pub span: Span,
}

#[derive(Debug, Clone)]
pub enum NetworkSetting {
    Antispoof(bool),
    Bridge(Name),
    Egress(bool),
    HostAccess(bool),
    Icc(bool),
    Subnet(Vec<Spanned<String>>),
}

/// `container NAME on NETWORK [at ADDR,…] … { … }`.
#[derive(Debug, Clone)]
pub struct Container {
    pub name: Name,
    pub attachments: Vec<Attachment>,
    pub exposures: Vec<Expose>,
    pub span: Span,
}

#[derive(Debug, Clone)]
pub struct Attachment {
    pub network: Name,
    pub addresses: Vec<Spanned<String>>,
    pub span: Span,
}

/// `expose PORTS/PROTO [as [ADDR:]PORTS] [from WHO,…] [limit …] [log]`.
#[derive(Debug, Clone)]
pub struct Expose {
    pub service: Service,
    pub published: Option<Published>,
    /// `None` without `from`.
    pub from: Option<Vec<Name>>,
    pub limits: Vec<Spanned<Limit>>,
    pub log: Option<Span>,
    pub span: Span,
}

/// `limit N/UNIT [burst N] [per source]` or `limit N connections [per source]`.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    pub kind: LimitKind,
    pub per_source: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum LimitKind {
    Connections(u32),
    Rate { rate: Rate, burst: Option<u32> },
}

#[derive(Debug, Clone)]
pub struct Published {
    pub address: Option<Spanned<String>>,
    pub ports: Vec<Spanned<PortRange>>,
    pub span: Span,
}

/// Ports `first` to `last`, both within, as numbers that may still be too large or the wrong way
/// round; resolving checks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    pub first: u32,
    pub last: u32,
}

/// `PORTS/PROTO`, `tcp`, or `icmp [TYPE]`. No ports means all of the protocol.
#[derive(Debug, Clone)]
pub struct Service {
    pub ports: Vec<Spanned<PortRange>>,
    pub protocol: Spanned<Protocol>,
    pub icmp_type: Option<Name>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    Icmp,
    Sctp,
    Tcp,
    Udp,
}

/// `link`, `allow` or `deny`: `WHO,… -> WHO,… [: SERVICE,…]`.
#[derive(Debug, Clone)]
pub struct Access {
    pub verb: Spanned<Verb>,
    pub left: Vec<Name>,
    pub right: Vec<Name>,
    /// Empty means all.
    pub services: Vec<Service>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Allow,
    Deny,
    Link,
}

/// `expect WHO -> WHO [: SERVICE] allowed|denied`.
#[derive(Debug, Clone)]
pub struct Expect {
    pub left: Name,
    pub right: Name,
    pub service: Option<Service>,
    pub allowed: bool,
    pub span: Span,
}
