//! The policy after names are looked up and every check has passed: what lowering reads.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::net::{AddrSet, Family, PortRange};
use crate::source::Span;

pub use crate::syntax::ast::{ForwardPolicy, Protocol, Rate, RateUnit};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub usize);
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(pub usize);
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustId(pub usize);

/// A whole policy as one of its hosts sees it. Ids index the vectors; all are in the order written.
#[derive(Debug, Clone)]
pub struct Policy {
    pub host: Host,
    pub networks: Vec<Network>,
    pub containers: Vec<Container>,
    pub trusts: Vec<Trust>,
    pub accesses: Vec<Access>,
    pub expectations: Vec<Expectation>,
    /// Where the names stand of statements that have several on a side, by the statement's place.
    pub names: BTreeMap<Span, Names>,
    pub undeclared: Undeclared,
}

/// What the names of an engine's bridges begin with, unless somebody gave them another: Docker's for
/// networks and for its own, and podman's.
pub const ENGINE_BRIDGES: [&str; 3] = ["br-", "docker", "podman"];

/// What an engine has beside what the policy declares; nothing where nobody asked it.
#[derive(Debug, Clone, Default)]
pub struct Undeclared {
    /// Bridges of its other networks, however they are called.
    pub bridges: Vec<IfName>,
    /// Interfaces that are not the engine's, though some may be called as if they were.
    pub foreign: Vec<IfName>,
    /// Ports of the host that lead to a container, and that no line opens for that container.
    pub ports: Vec<EnginePort>,
    /// It has no rule for IPv6: what a FORWARD policy of DROP would end there is let through here.
    pub leaves_ipv6: bool,
}

/// Ports of the host that an engine has published.
#[derive(Debug, Clone)]
pub struct EnginePort {
    /// The engine's name of the container.
    pub container: String,
    pub protocol: Protocol,
    pub published: Published,
    pub owner: Owner,
}

impl EnginePort {
    /// Returns how the host's side is written, as in `8080/tcp` or `192.0.2.1:8080-8083/tcp`.
    pub fn outer(&self) -> String {
        let protocol = match self.protocol {
            Protocol::Icmp => "icmp",
            Protocol::Sctp => "sctp",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let ports = self.published.ports;
        match self.published.address {
            None => format!("{ports}/{protocol}"),
            Some(IpAddr::V6(address)) => format!("[{address}]:{ports}/{protocol}"),
            Some(address) => format!("{address}:{ports}/{protocol}"),
        }
    }
}

/// Whom published ports lead to that no line opens for it.
#[derive(Debug, Clone)]
pub enum Owner {
    /// A container of the policy's: as if it were exposed to nobody.
    Declared(ContainerId, Exposure),
    /// Somebody else than the container for which a line opens them.
    Taken(Span),
    /// A container of which the policy says nothing, on networks of its own: as if it were exposed to nobody.
    Neighbour(Vec<NetworkId>, Exposure),
    /// A container of which the policy says nothing, and of its networks neither.
    Undeclared,
}

/// Places of the names on both sides of a statement; those of a `from` are on the left.
#[derive(Debug, Clone, Default)]
pub struct Names {
    pub left: Vec<Span>,
    pub right: Vec<Span>,
}

impl Policy {
    /// Returns the place of a name on the left side of a statement, or in a `from`; the whole
    /// statement where that is not known.
    pub fn left_name(&self, statement: Span, at: usize) -> Span {
        let names = self.names.get(&statement);
        let place = names.and_then(|names| names.left.get(at));
        place.copied().unwrap_or(statement)
    }

    /// Like [`Policy::left_name`], on the right side.
    pub fn right_name(&self, statement: Span, at: usize) -> Span {
        let names = self.names.get(&statement);
        let place = names.and_then(|names| names.right.get(at));
        place.copied().unwrap_or(statement)
    }

    /// Returns the name of somebody as the policy writes it.
    pub fn name(&self, party: Party) -> &str {
        let name = match party {
            Party::Any => Some("any"),
            Party::Container(id) => self.containers.get(id.0).map(|it| it.name.as_str()),
            Party::Host => Some("host"),
            Party::Network(id) => self.networks.get(id.0).map(|it| it.name.as_str()),
            Party::Outside => Some("outside"),
            Party::Trust(id) => self.trusts.get(id.0).map(|it| it.name.as_str()),
        };
        name.unwrap_or_default()
    }

    /// Tells whether the engine has given a host port of an exposure to another container. The port alone does
    /// not tell then whose it is: the address behind it has to.
    pub fn is_contested(&self, exposure: &Exposure) -> bool {
        let Some(said) = &exposure.published else {
            return false;
        };
        let mut ports = self.undeclared.ports.iter();
        ports.any(|port| {
            matches!(port.owner, Owner::Taken(_))
                && port.protocol == exposure.protocol
                && said.meets(&port.published)
        })
    }

    /// Returns true for the name of an interface that is a bridge of the engine's, or could be one: what
    /// the policy names as another interface is none, whatever it is called.
    pub fn is_engines(&self, name: &str) -> bool {
        let of_networks = self.networks.iter().filter(|network| network.local);
        let own = of_networks.map(|network| &network.bridge);
        let mut known = own.chain(&self.undeclared.bridges);
        if known.any(|bridge| bridge.0 == name) {
            return true;
        }
        let called = ENGINE_BRIDGES.iter().any(|start| name.starts_with(start));
        called && !self.elsewhere().any(|other| other.0 == name)
    }

    /// Returns the interfaces that lead to others than an engine's containers.
    pub fn elsewhere(&self) -> impl Iterator<Item = &IfName> {
        let devices = self.host.routes.iter().filter_map(|it| it.device.as_ref());
        let named = self.host.uplinks.iter().chain(devices);
        named.chain(&self.undeclared.foreign)
    }

    /// Returns what makes rules between ports of one bridge necessary: `icc off`, or a denial that may
    /// concern two containers of one network.
    pub fn filters_bridges(&self) -> Option<Span> {
        let mut local = self.networks.iter().filter(|network| network.local);
        let closed = local.find(|network| !network.icc).map(|it| it.span);
        let mut accesses = self.accesses.iter();
        closed.or_else(|| Some(accesses.find(|access| access.denies_inside())?.span))
    }

    /// Returns the first exposure that the host reaches at 127.0.0.0/8 and whose container is on
    /// `network`, where nobody but tidegate translates published ports.
    pub fn loopback_published(&self, network: NetworkId) -> Option<Span> {
        if self.host.engine.translates() {
            return None;
        }
        let here = self.containers.iter().filter(|container| {
            let end = container.published_at(Family::V4);
            end.is_some_and(|(at, _)| at == network)
        });
        let mut exposures = here.flat_map(|container| &container.exposures);
        let exposure = exposures.find(|exposure| {
            let published = exposure.published.as_ref();
            published.is_some_and(Published::has_loopback_v4)
        });
        exposure.map(|exposure| exposure.span)
    }
}

/// An interface name of at most 15 bytes without blanks, `/` or `+`; see `dev_valid_name` in the
/// kernel's net/core/dev.c.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfName(pub String);

#[derive(Debug, Clone)]
pub struct Host {
    pub name: Option<String>,
    pub engine: Engine,
    pub uplinks: Vec<IfName>,
    /// `None` leaves the kernel's setting alone.
    pub forwarding: Option<(bool, Span)>,
    /// `None` leaves FORWARD's policy alone.
    pub forward: Option<(ForwardPolicy, Span)>,
    /// Exactly one bit of the 32-bit packet mark.
    pub mark: u32,
    pub routes: Vec<Route>,
    pub sysctls: Vec<Sysctl>,
    pub log_denied: Option<LogDenied>,
    pub others: Others,
}

/// What becomes of the engine's networks that no line declares; with the whole setting, where one is
/// written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Nobody but the host and the engine's other networks connects into them.
    Closed(Option<Span>),
    /// Nothing that concerns no declared network is forwarded.
    Drop(Span),
    /// They are left to the engine.
    Leave,
}

/// The engine that writes NAT and publishing; see `policy::engine` for what each has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Docker {
        release: Option<Release>,
        backend: Backend,
    },
    /// Nobody but tidegate writes them; the whole setting.
    None(Span),
    /// podman with netavark, whichever its `firewall_driver`.
    Podman,
}

/// A release of Docker: `28.5`, or `28` for any of that major.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    pub major: u32,
    pub minor: Option<u32>,
}

/// What Docker writes its rules with; see `--firewall-backend` in dockerd(8), Docker 29.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Backend {
    #[default]
    Iptables,
    Nftables,
}

/// A way to another host's containers.
#[derive(Debug, Clone)]
pub struct Route {
    /// Host bits cleared.
    pub prefix: IpNet,
    /// Of the same family.
    pub via: IpAddr,
    pub device: Option<IfName>,
    pub span: Span,
}

/// One line for sysctl.d; the key is as written, `.` or `/` between its parts.
#[derive(Debug, Clone)]
pub struct Sysctl {
    pub key: String,
    pub value: String,
    pub span: Span,
}

#[derive(Debug, Clone, Copy)]
pub struct LogDenied {
    /// `None` logs every one.
    pub rate: Option<Rate>,
    pub span: Span,
}

#[derive(Debug, Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the language of its own"
)]
pub struct Network {
    pub name: String,
    /// False when it is on another host of the policy, which its addresses alone then tell.
    pub local: bool,
    pub bridge: IfName,
    /// At least one; host bits cleared; no two of a policy overlap.
    pub subnets: Vec<IpNet>,
    pub icc: bool,
    pub egress: bool,
    pub host_access: bool,
    pub antispoof: bool,
    /// The engine keeps it apart from everything else, as facts have it; false where none say so.
    pub internal: bool,
    /// The network's name where it is declared.
    pub span: Span,
}

#[derive(Debug, Clone)]
pub struct Container {
    pub name: String,
    pub attachments: Vec<Attachment>,
    pub exposures: Vec<Exposure>,
    pub span: Span,
}

impl Container {
    /// Returns all fixed addresses on `network`.
    pub fn addresses_on(&self, network: NetworkId) -> impl Iterator<Item = IpAddr> + '_ {
        let here = self
            .attachments
            .iter()
            .filter(move |at| at.network == network);
        here.flat_map(|at| at.addresses.iter().copied())
    }

    /// Returns where its published ports lead when no engine says so: to the first of its networks
    /// in which it has an address of the family.
    pub fn published_at(&self, family: Family) -> Option<(NetworkId, IpAddr)> {
        let mut ends = self.attachments.iter().flat_map(|at| {
            let addresses = at.addresses.iter();
            addresses.map(|address| (at.network, *address))
        });
        ends.find(|(_, address)| family.has(*address))
    }

    pub fn is_on(&self, network: NetworkId) -> bool {
        self.attachments.iter().any(|at| at.network == network)
    }
}

#[derive(Debug, Clone)]
pub struct Attachment {
    pub network: NetworkId,
    /// Inside the network's subnets; empty when the engine picks one.
    pub addresses: Vec<IpAddr>,
    /// The policy itself says them; else they are an inventory's.
    pub fixed: bool,
}

/// One range of a container's ports. A written `expose` with several ranges becomes several.
#[derive(Debug, Clone)]
pub struct Exposure {
    pub protocol: Protocol,
    pub ports: PortRange,
    pub published: Option<Published>,
    pub from: Vec<Party>,
    pub limits: Limits,
    pub log: bool,
    /// The whole `expose` statement.
    pub span: Span,
}

/// How much of an exposure those in its `from` may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    pub rate: Option<RateLimit>,
    pub connections: Option<ConnectionLimit>,
}

impl Limits {
    pub fn is_none(&self) -> bool {
        *self == Limits::default()
    }
}

/// New connections in a time; `burst` of them may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    pub rate: Rate,
    pub burst: u32,
    /// Each source is counted by itself, not all together.
    pub per_source: bool,
}

/// Connections at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimit {
    pub count: u32,
    pub per_source: bool,
}

/// The host's side of a published exposure; as many ports as the container's side.
#[derive(Debug, Clone)]
pub struct Published {
    /// `None` is every address of the host, both families.
    pub address: Option<IpAddr>,
    pub ports: PortRange,
}

impl Published {
    /// Tells whether some packet asks for a port of both.
    pub fn meets(&self, other: &Self) -> bool {
        let at = match (self.address, other.address) {
            (Some(one), Some(two)) => one == two,
            (None, _) | (_, None) => true,
        };
        at && self.ports.intersection(other.ports).is_some()
    }

    fn has_loopback_v4(&self) -> bool {
        let address = self.address;
        address.is_none_or(|address| address.is_ipv4() && address.is_loopback())
    }
}

#[derive(Debug, Clone)]
pub struct Trust {
    pub name: String,
    /// Everything in it, exceptions taken out.
    pub set: AddrSet,
    /// The sets that it names, in it or as exceptions.
    pub within: Vec<TrustId>,
    pub span: Span,
}

/// A side of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    Any,
    Container(ContainerId),
    Host,
    Network(NetworkId),
    Outside,
    Trust(TrustId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Allow,
    Deny,
}

/// One `allow`, `deny` or `link`. A link is an allow whose right sides are containers and whose
/// services are those that the right side exposes: resolving writes it as one access for each
/// right side.
#[derive(Debug, Clone)]
pub struct Access {
    pub effect: Effect,
    /// Shared by the accesses that one `link` becomes, and by all hosts.
    pub left: Arc<[Party]>,
    pub right: Vec<Party>,
    /// Empty means all protocols and ports.
    pub services: Vec<Service>,
    /// True when it was written as `link`.
    pub link: bool,
    /// The whole statement.
    pub span: Span,
}

impl Access {
    /// Tells whether it may deny something between two containers of one network.
    pub fn denies_inside(&self) -> bool {
        let inside = |party: &Party| !matches!(party, Party::Host | Party::Outside);
        self.effect == Effect::Deny && self.left.iter().any(inside) && self.right.iter().any(inside)
    }
}

/// One protocol, with one range of ports or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// `None` is every type.
    Icmp(Option<IcmpType>),
    /// For tcp, udp and sctp; `None` is every port.
    Ports(Protocol, Option<PortRange>),
}

/// Type numbers of a named ICMP message in each family; `None` where the family has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IcmpType {
    pub name: &'static str,
    pub v4: Option<u8>,
    pub v6: Option<u8>,
}

/// One `expect`, kept for the stage that proves it.
#[derive(Debug, Clone)]
pub struct Expectation {
    pub left: Party,
    pub right: Party,
    pub services: Vec<Service>,
    pub allowed: bool,
    pub span: Span,
}
