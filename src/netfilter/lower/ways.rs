//! The ways a packet can come and go, and what a party of a statement is on each of them.
//!
//! Every chain belongs to one way. A party that cannot occur on a way expands to nothing there, a
//! party that the chain's own position already implies expands to one empty condition.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv6Net};

use super::aims::allows_by_network;
use crate::net::{AddrSet, PortRange};
use crate::netfilter::Family;
use crate::netfilter::rule::{Interface, Rule, Service};
use crate::policy::ir::{
    self, Access, ContainerId, ForwardPolicy, IfName, NetworkId, Party, Policy,
};

/// What every IPv6 interface has by itself (RFC 4291, 2.5.6).
pub(super) const LINK_LOCAL: Ipv6Net =
    Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);

/// Where a packet comes from and goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// From an interface that is no declared bridge into a network.
    In(NetworkId),
    /// From another declared network into this one.
    Peer(NetworkId),
    /// Within a network.
    Icc(NetworkId),
    /// Out of a network to an interface that is no declared bridge.
    Out(NetworkId),
    /// From another host's networks into a network.
    Far(NetworkId),
    /// Out of a network to another host's networks.
    Away(NetworkId),
    /// From an interface that is no declared bridge to the host itself.
    HostIn,
    /// From a declared network to the host itself.
    HostFrom(NetworkId),
    /// From another host's networks to the host itself.
    HostFar,
    /// From the host itself into a network.
    HostTo(NetworkId),
    /// From the host itself to an interface that is no declared bridge.
    HostOut,
}

impl Way {
    /// Returns the network that the packet enters, if it enters one.
    pub(super) fn target(self) -> Option<NetworkId> {
        match self {
            Way::Far(network)
            | Way::HostTo(network)
            | Way::In(network)
            | Way::Peer(network)
            | Way::Icc(network) => Some(network),
            Way::Away(_)
            | Way::Out(_)
            | Way::HostFar
            | Way::HostIn
            | Way::HostFrom(_)
            | Way::HostOut => None,
        }
    }

    /// Returns true where the packet comes from `network`'s bridge or may do so.
    fn may_come_from(self, network: NetworkId) -> bool {
        match self {
            Way::Far(_)
            | Way::HostFar
            | Way::HostOut
            | Way::HostTo(_)
            | Way::In(_)
            | Way::HostIn => false,
            Way::Peer(target) => target != network,
            Way::Away(own) | Way::Icc(own) | Way::Out(own) | Way::HostFrom(own) => own == network,
        }
    }

    fn is_to_host(self) -> bool {
        matches!(&self, Way::HostFar | Way::HostIn | Way::HostFrom(_))
    }

    fn is_from_host(self) -> bool {
        matches!(&self, Way::HostOut | Way::HostTo(_))
    }

    /// Returns true where the packet comes by no declared bridge, and not from the host.
    fn is_from_stranger(self) -> bool {
        matches!(self, Way::Far(_) | Way::HostFar | Way::HostIn | Way::In(_))
    }

    /// Returns true where the packet leaves by no declared bridge, and not for the host.
    fn is_to_stranger(self) -> bool {
        matches!(self, Way::Away(_) | Way::HostOut | Way::Out(_))
    }

    /// Returns true where the packet comes from another host's networks.
    fn is_from_afar(self) -> bool {
        matches!(&self, Way::Far(_) | Way::HostFar)
    }
}

/// One end of a connection as conditions of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct End {
    pub(super) interface: Option<IfName>,
    pub(super) net: Option<IpNet>,
    /// Instead of one prefix: any of many.
    pub(super) many: Option<Arc<[IpNet]>>,
}

impl End {
    pub(super) fn net(net: IpNet) -> Self {
        End {
            net: Some(net),
            ..End::default()
        }
    }
}

/// A policy seen by one family, with what every chain asks for worked out once.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) policy: &'a Policy,
    pub(super) family: Family,
    /// Prefixes of each trust set.
    pub(super) sets: Vec<Arc<[IpNet]>>,
    /// Those of its ends that each set has on a way: many rules ask for them.
    pub(super) ends: RefCell<HashMap<(ir::TrustId, Way), Vec<End>>>,
    /// Containers on each network.
    residents: Vec<Vec<ContainerId>>,
    /// What may open each network, in the order written.
    allows: Vec<Vec<&'a Access>>,
}

impl<'a> View<'a> {
    pub(super) fn new(policy: &'a Policy, family: Family) -> Self {
        let sets = policy
            .trusts
            .iter()
            .map(|trust| prefixes(&trust.set, family))
            .collect();
        let mut residents = vec![Vec::new(); policy.networks.len()];
        for (container, id) in policy.containers.iter().zip((0..).map(ContainerId)) {
            for at in &container.attachments {
                if let Some(list) = residents.get_mut(at.network.0) {
                    list.push(id);
                }
            }
        }
        View {
            policy,
            family,
            sets,
            ends: RefCell::default(),
            residents,
            allows: allows_by_network(policy),
        }
    }

    /// Returns the statements that may open a network, in the order written.
    pub(super) fn allows_to(&self, id: NetworkId) -> &[&'a Access] {
        self.allows.get(id.0).map_or(&[], Vec::as_slice)
    }

    /// Returns the containers on a network in the order written.
    pub(super) fn residents(&self, id: NetworkId) -> &[ContainerId] {
        self.residents.get(id.0).map_or(&[], Vec::as_slice)
    }

    pub(super) fn network(&self, id: NetworkId) -> &'a ir::Network {
        let network = self.policy.networks.get(id.0);
        network.unwrap_or_else(|| unreachable!("network ids come from the policy itself"))
    }

    pub(super) fn container(&self, id: ContainerId) -> &'a ir::Container {
        let container = self.policy.containers.get(id.0);
        container.unwrap_or_else(|| unreachable!("container ids come from the policy itself"))
    }

    /// Returns the networks of this host.
    pub(super) fn network_ids(&self) -> impl Iterator<Item = NetworkId> + use<'a> {
        self.networks_where(true)
    }

    fn networks_where(&self, local: bool) -> impl Iterator<Item = NetworkId> + use<'a> {
        let networks = self.policy.networks.iter().zip((0..).map(NetworkId));
        let networks = networks.filter(move |(network, _)| network.local == local);
        networks.map(|(_, id)| id)
    }

    /// Returns true where connections from one network of this host into another are possible.
    pub(super) fn has_peers(&self) -> bool {
        self.network_ids().nth(1).is_some()
    }

    /// Returns the subnets of the networks of other hosts, each with its network.
    pub(super) fn far(&self) -> impl Iterator<Item = (NetworkId, IpNet)> + '_ {
        let networks = self.networks_where(false);
        networks.flat_map(|id| self.subnets(id).map(move |subnet| (id, subnet)))
    }

    /// Returns the containers of this host.
    pub(super) fn container_ids(&self) -> impl Iterator<Item = ContainerId> + '_ {
        let ids = (0..self.policy.containers.len()).map(ContainerId);
        ids.filter(|id| {
            let mut attachments = self.container(*id).attachments.iter();
            attachments.any(|at| self.network(at.network).local)
        })
    }

    /// Returns a network's subnets of this family.
    pub(super) fn subnets(&self, id: NetworkId) -> impl Iterator<Item = IpNet> + use<'a> {
        let family = self.family;
        let subnets = self.network(id).subnets.iter().copied();
        subnets.filter(move |net| family.has(net.addr()))
    }

    /// Returns true where no rule of an engine accepts: everything that passes must then be granted.
    pub(super) fn grants_all(&self) -> bool {
        !self.policy.host.engine.accepts()
    }

    /// Returns true where IPv6 meets a FORWARD policy of DROP: engines that leave ip6tables alone (all before
    /// 27 unless told) have no rule that lets it past.
    pub(super) fn is_unhelped(&self) -> bool {
        let forward = self.policy.host.forward.map(|(policy, _)| policy);
        self.family == Family::V6 && forward == Some(ForwardPolicy::Drop)
    }

    fn addresses(
        &self,
        id: ContainerId,
        network: NetworkId,
    ) -> impl Iterator<Item = IpNet> + use<'a> {
        let family = self.family;
        let addresses = self.container(id).addresses_on(network);
        addresses
            .filter(move |address| family.has(*address))
            .map(IpNet::from)
    }

    fn uplinks(&self) -> Vec<End> {
        let uplinks = &self.policy.host.uplinks;
        if uplinks.is_empty() {
            return vec![End::default()];
        }
        let end = |name: &IfName| End {
            interface: Some(name.clone()),
            ..End::default()
        };
        uplinks.iter().map(end).collect()
    }

    /// Returns what tells that a packet on `way` comes from `party`.
    pub(super) fn sources(&self, party: Party, way: Way) -> Vec<End> {
        match party {
            Party::Any => vec![End::default()],
            Party::Container(id) => self.container_source(id, way),
            Party::Network(id) if !self.network(id).local => self.far_ends(way.is_from_afar(), id),
            Party::Network(id) if way.may_come_from(id) => vec![self.bridge_source(id, way)],
            Party::Outside if matches!(way, Way::In(_) | Way::HostIn) => self.uplinks(),
            Party::Host if way.is_from_host() => vec![End::default()],
            Party::Trust(id) if way.is_from_stranger() => self.senders_of(id, way),
            Party::Host | Party::Network(_) | Party::Outside | Party::Trust(_) => Vec::new(),
        }
    }

    /// Returns what may send on a way, and nothing where everything may. `antispoof` keeps other sources
    /// off: a rule for them could never match.
    pub(super) fn may_send(&self, way: Way) -> Option<Vec<IpNet>> {
        let own = |id: NetworkId| {
            let closed = self.network(id).antispoof;
            closed.then(|| self.senders(id).collect::<Vec<_>>())
        };
        match way {
            Way::Away(id) | Way::HostFrom(id) | Way::Icc(id) | Way::Out(id) => own(id),
            Way::Far(_) | Way::HostFar => Some(self.far().map(|(_, subnet)| subnet).collect()),
            // Which addresses are the host's, no policy says.
            Way::HostOut | Way::HostTo(_) => Some(Vec::new()),
            Way::HostIn | Way::In(_) => None,
            Way::Peer(target) => {
                let others = self.network_ids().filter(|id| *id != target);
                let each: Option<Vec<Vec<IpNet>>> = others.map(own).collect();
                each.map(|each| each.concat())
            }
        }
    }

    /// Returns what may receive on a way, and nothing where everything may.
    fn may_receive(&self, way: Way) -> Option<Vec<IpNet>> {
        let far = || self.far().map(|(_, subnet)| subnet).collect();
        matches!(way, Way::Away(_)).then(far)
    }

    /// Returns the sources that `antispoof` lets pass from a network's bridge: those of machines that have
    /// an address, and the one of those that have none yet.
    pub(super) fn senders(&self, id: NetworkId) -> impl Iterator<Item = IpNet> + use<'a> {
        let unspecified = IpNet::from(self.family.unspecified());
        self.numbered(id).chain([unspecified])
    }

    /// Returns a network's own addresses and the link-local ones of RFC 4862.
    pub(super) fn numbered(&self, id: NetworkId) -> impl Iterator<Item = IpNet> + use<'a> {
        let link_local = matches!(self.family, Family::V6).then_some(IpNet::V6(LINK_LOCAL));
        self.subnets(id).chain(link_local)
    }

    /// Returns what tells a network of another host, on the ways where it can be.
    fn far_ends(&self, possible: bool, id: NetworkId) -> Vec<End> {
        let subnets = self.subnets(id).filter(|_| possible);
        subnets.map(End::net).collect()
    }

    /// Returns what tells a container of another host, on the ways where it can be.
    fn far_container(&self, possible: bool, id: ContainerId) -> Vec<End> {
        let attachments = self.container(id).attachments.iter();
        let far = attachments.filter(|at| possible && !self.network(at.network).local);
        far.flat_map(|at| self.addresses(id, at.network))
            .map(End::net)
            .collect()
    }

    /// A container is known by its bridge as well as by its address, since anything may write any
    /// source address. Of another host only the address is seen.
    fn container_source(&self, id: ContainerId, way: Way) -> Vec<End> {
        if way.is_from_afar() {
            return self.far_container(true, id);
        }
        let networks = self.container(id).attachments.iter().map(|at| at.network);
        let networks = networks.filter(|network| self.network(*network).local);
        let networks = networks.filter(|network| way.may_come_from(*network));
        let end = |network| {
            let bridge = self.bridge_source(network, way);
            self.addresses(id, network).map(move |net| End {
                net: Some(net),
                ..bridge.clone()
            })
        };
        networks.flat_map(end).collect()
    }

    /// Only packets from other networks need their bridge named; elsewhere the chain implies it.
    fn bridge_source(&self, id: NetworkId, way: Way) -> End {
        let bridge = || self.network(id).bridge.clone();
        End {
            interface: matches!(way, Way::Peer(_)).then(bridge),
            ..End::default()
        }
    }

    /// Returns what tells that a packet on `way` goes to `party`.
    pub(super) fn targets(&self, party: Party, way: Way) -> Vec<End> {
        match party {
            Party::Any => vec![End::default()],
            Party::Container(id) if matches!(way, Way::Away(_) | Way::HostOut) => {
                self.far_container(true, id)
            }
            Party::Container(id) => {
                let target = way.target().into_iter();
                target
                    .flat_map(|network| self.addresses(id, network))
                    .map(End::net)
                    .collect()
            }
            Party::Host if way.is_to_host() => vec![End::default()],
            Party::Network(id) if !self.network(id).local => {
                self.far_ends(matches!(way, Way::Away(_) | Way::HostOut), id)
            }
            Party::Network(id) if way.target() == Some(id) => vec![End::default()],
            Party::Outside if matches!(way, Way::HostOut | Way::Out(_)) => self.uplinks(),
            Party::Trust(id) if way.is_to_stranger() => self.set(id, self.may_receive(way)),
            Party::Host | Party::Network(_) | Party::Outside | Party::Trust(_) => Vec::new(),
        }
    }

    /// Returns the part of `ends` that lies in `network`, with an address for every end: `raw` does
    /// not know yet which interface a packet will leave by.
    pub(super) fn addressed(&self, ends: &[End], network: NetworkId) -> Vec<End> {
        let subnets: Vec<IpNet> = self.subnets(network).collect();
        let within = |net: IpNet| {
            subnets
                .iter()
                .filter_map(move |subnet| smaller(*subnet, net))
        };
        let inside = |end: &End| match (&end.many, end.net) {
            (Some(many), _) => many.iter().flat_map(|net| within(*net)).collect(),
            (None, None) => subnets.clone(),
            (None, Some(net)) => within(net).collect(),
        };
        ends.iter().flat_map(inside).map(End::net).collect()
    }

    /// Returns the services as conditions of this family; one `None` stands for all.
    pub(super) fn services(&self, services: &[ir::Service]) -> Vec<Option<Service>> {
        if services.is_empty() {
            return vec![None];
        }
        services
            .iter()
            .filter_map(|service| self.service(*service))
            .map(Some)
            .collect()
    }

    fn service(&self, service: ir::Service) -> Option<Service> {
        match service {
            ir::Service::Icmp(None) => Some(Service::All(ir::Protocol::Icmp)),
            ir::Service::Icmp(Some(kind)) => match self.family {
                Family::V4 => kind.v4.map(Service::Icmp),
                Family::V6 => kind.v6.map(Service::Icmp),
            },
            ir::Service::Ports(protocol, None) => Some(Service::All(protocol)),
            ir::Service::Ports(protocol, Some(ports)) => Some(Service::To(protocol, ports)),
        }
    }

    /// Returns true where `party` as a right side means `container`, whatever its address is.
    pub(super) fn covers(&self, party: Party, container: ContainerId) -> bool {
        match party {
            Party::Any => true,
            Party::Container(id) => id == container,
            Party::Network(id) => self.container(container).is_on(id),
            Party::Host | Party::Outside | Party::Trust(_) => false,
        }
    }
}

/// Returns the ports of `exposure` that `services` mean; nothing written means all of them.
pub(super) fn ports_of(services: &[ir::Service], exposure: &ir::Exposure) -> Vec<PortRange> {
    if services.is_empty() {
        return vec![exposure.ports];
    }
    let ports = |service: &ir::Service| match *service {
        ir::Service::Ports(protocol, ports) if protocol == exposure.protocol => ports
            .map_or(Some(exposure.ports), |ports| {
                ports.intersection(exposure.ports)
            }),
        _ => None,
    };
    services.iter().filter_map(ports).collect()
}

/// Makes a rule of its two ends.
pub(super) fn between(source: &End, target: &End) -> Rule {
    let interface = |end: &End| end.interface.as_ref().map(Interface::named);
    Rule {
        source: source.net,
        destination: target.net,
        sources: source.many.clone(),
        destinations: target.many.clone(),
        input: interface(source),
        output: interface(target),
        ..Rule::default()
    }
}

fn prefixes(set: &AddrSet, family: Family) -> Arc<[IpNet]> {
    match family {
        Family::V4 => set.v4_prefixes().into_iter().map(IpNet::from).collect(),
        Family::V6 => set.v6_prefixes().into_iter().map(IpNet::from).collect(),
    }
}

/// Returns the smaller of two prefixes where one holds the other.
pub(super) fn smaller(a: IpNet, b: IpNet) -> Option<IpNet> {
    if a.contains(&b) {
        Some(b)
    } else {
        b.contains(&a).then_some(a)
    }
}
