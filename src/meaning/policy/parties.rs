//! Who a party is: as a source by its bridge and its address, as a target by the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Says;
use super::forward::exactly;
use crate::diagram::Node;
use crate::meaning::space::{Field, bits, ports, prefixes};
use crate::net::{Family, IntervalSet, PortRange};
use crate::policy::ir::{Access, ContainerId, NetworkId, Party, Protocol, Service, TrustId};

/// What it costs to look at one side of a statement, also where the functions are known.
const STEPS_OF_READING: usize = 16;

/// RFC 4291, 2.5.6.
const LINK_LOCAL: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);
const GROUPS_V4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4);
const GROUPS_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8);

/// Addresses that say nothing of who on a bridge has them.
pub(super) fn link_local(family: Family) -> IntervalSet {
    match family {
        Family::V4 => IntervalSet::default(),
        Family::V6 => prefixes([&IpNet::from(LINK_LOCAL)]),
    }
}

/// Returns the protocol's number.
pub(super) fn number(protocol: Protocol, family: Family) -> u128 {
    match (protocol, family) {
        (Protocol::Icmp, Family::V4) => 1,
        (Protocol::Icmp, Family::V6) => 58,
        (Protocol::Sctp, _) => 132,
        (Protocol::Tcp, _) => 6,
        (Protocol::Udp, _) => 17,
    }
}

impl Says<'_> {
    /// Returns yes where a packet comes from a party. A container is known by its bridge as well as
    /// by its address; of another host only the address is seen.
    pub(in crate::meaning) fn source(&mut self, party: Party) -> Node {
        if let Some(known) = self.sources.get(&party) {
            return *known;
        }
        let node = match party {
            Party::Any | Party::Host | Party::Trust(_) => self.sent_by(party),
            Party::Container(id) => self.container_end(id, Field::Input),
            Party::Network(id) => self.network_end(id, Field::Input),
            Party::Outside => self.outside(Field::Input),
        };
        self.sources.insert(party, node);
        node
    }

    fn sent_by(&mut self, party: Party) -> Node {
        let Some((input, rest)) = self.sender(party) else {
            return Node::NO;
        };
        let input = self.space.within(Field::Input, &input);
        self.and(&[input, rest])
    }

    /// Returns the interfaces by which a party's packets come, and what their source must be, where these
    /// have nothing to do with each other.
    pub(super) fn sender(&mut self, party: Party) -> Option<(IntervalSet, Node)> {
        if let Some(known) = self.senders.get(&party) {
            return Some(known.clone());
        }
        let all = self.space.everything(Field::Input);
        let none = exactly(self.space.atom(""));
        let sender = match party {
            Party::Any => (all, Node::YES),
            Party::Host => (none, Node::YES),
            // Which addresses are the host's, no policy says.
            Party::Trust(id) => {
                let inside = none.union(&self.bridges);
                (all.difference(&inside), self.in_set(id, Field::Source))
            }
            Party::Container(_) | Party::Network(_) | Party::Outside => return None,
        };
        self.senders.insert(party, sender.clone());
        Some(sender)
    }

    /// Returns yes where a packet goes to a party.
    pub(super) fn target(&mut self, party: Party) -> Node {
        match party {
            Party::Any => Node::YES,
            Party::Container(id) => self.container_end(id, Field::Output),
            Party::Host => self.interface(Field::Output, ""),
            Party::Network(id) => self.network_end(id, Field::Output),
            Party::Outside => self.outside(Field::Output),
            Party::Trust(id) => {
                let (afar, here) = (
                    self.afar(Field::Output),
                    self.in_set(id, Field::Destination),
                );
                self.and(&[afar, here])
            }
        }
    }

    pub(super) fn in_set(&mut self, id: TrustId, field: Field) -> Node {
        let family = self.family();
        let trust = self.policy.trusts.get(id.0);
        let set = trust.map(|trust| trust.set.of(family).clone());
        self.space.within(field, &set.unwrap_or_default())
    }

    fn network_end(&mut self, id: NetworkId, field: Field) -> Node {
        let network = self.network(id);
        if network.local {
            return self.bridge(field, id);
        }
        let afar = self.afar(field);
        let subnets = self.subnets(id);
        let address = self.space.within(address(field), &subnets);
        self.and(&[afar, address])
    }

    fn container_end(&mut self, id: ContainerId, field: Field) -> Node {
        let container = self.container(id);
        let mut ends = Vec::new();
        for at in &container.attachments {
            let addresses = self.addresses(id, at.network);
            let here = self.space.within(address(field), &addresses);
            let network = self.network(at.network);
            let side = if network.local {
                self.bridge(field, at.network)
            } else {
                self.afar(field)
            };
            ends.push(self.and(&[side, here]));
        }
        self.or(&ends)
    }

    /// Returns a container's addresses on a network.
    pub(super) fn addresses(&self, id: ContainerId, network: NetworkId) -> IntervalSet {
        let family = self.family();
        let addresses = self.container(id).addresses_on(network);
        let one = |address: IpAddr| (bits(address), bits(address));
        IntervalSet::from_ranges(addresses.filter(|it| family.has(*it)).map(one).collect())
    }

    /// Returns yes by an interface that is no bridge of this host's networks.
    pub(super) fn afar(&mut self, field: Field) -> Node {
        let bridge = self.any_bridge(field);
        let none = self.interface(field, "");
        let either = self.or(&[bridge, none]);
        self.not(either)
    }

    /// Returns yes by an uplink, but for other hosts' declared networks.
    fn outside(&mut self, field: Field) -> Node {
        let far = self.far();
        let far = self.space.within(address(field), &far);
        let elsewhere = self.afar(field);
        let elsewhere = self.space.diagrams.except(elsewhere, far);
        let uplinks = &self.policy.host.uplinks;
        if uplinks.is_empty() {
            return elsewhere;
        }
        let uplinks: Vec<Node> = uplinks
            .iter()
            .map(|uplink| self.interface(field, &uplink.0))
            .collect();
        let uplink = self.or(&uplinks);
        self.and(&[elsewhere, uplink])
    }

    /// Returns yes for what a list of services names; an empty one names all.
    pub(super) fn services(&mut self, services: &[Service]) -> Node {
        if services.is_empty() {
            return Node::YES;
        }
        if !self.space.diagrams.work(STEPS_OF_READING) {
            return Node::NO;
        }
        let all: Vec<Node> = services.iter().map(|it| self.service(*it)).collect();
        self.or(&all)
    }

    fn service(&mut self, service: Service) -> Node {
        let family = self.family();
        match service {
            Service::Icmp(None) => self.protocol(Protocol::Icmp),
            Service::Icmp(Some(kind)) => {
                let kind = match family {
                    Family::V4 => kind.v4,
                    Family::V6 => kind.v6,
                };
                kind.map_or(Node::NO, |kind| self.icmp(&[kind]))
            }
            Service::Ports(protocol, None) => self.protocol(protocol),
            Service::Ports(protocol, Some(range)) => self.service_at(protocol, range),
        }
    }

    fn protocol(&mut self, protocol: Protocol) -> Node {
        let number = number(protocol, self.family());
        self.space.is(Field::Protocol, number)
    }

    /// Returns yes for a protocol's destination ports.
    pub(super) fn service_at(&mut self, protocol: Protocol, range: PortRange) -> Node {
        if let Some(known) = self.services.get(&(protocol, range)) {
            return *known;
        }
        let node = self.made_service(protocol, range);
        self.services.insert((protocol, range), node);
        node
    }

    fn made_service(&mut self, protocol: Protocol, range: PortRange) -> Node {
        let protocol = number(protocol, self.family());
        let here = [
            (Field::Protocol, exactly(protocol)),
            (Field::Port, ports(&[range])),
        ];
        self.space.all_within(&here, Node::YES)
    }

    /// Returns yes where a statement names who sends; many statements share a list of such.
    pub(super) fn left(&mut self, access: &Access) -> Node {
        if !self.space.diagrams.work(STEPS_OF_READING) {
            return Node::NO;
        }
        let place = access.left.as_ptr().addr();
        if let Some((_, known)) = self.lefts.get(&place) {
            return *known;
        }
        let all: Vec<Node> = access.left.iter().map(|it| self.source(*it)).collect();
        let node = self.or(&all);
        self.lefts.insert(place, (access.left.clone(), node));
        node
    }

    /// Returns yes where a statement names a packet by its ends and its service.
    pub(super) fn named(&mut self, access: &Access) -> Node {
        let rights: Vec<Node> = access.right.iter().map(|it| self.target(*it)).collect();
        let (left, right) = (self.left(access), self.or(&rights));
        let services = self.services(&access.services);
        self.and(&[services, right, left])
    }

    /// Returns yes where a denial names who sends within a bridge: a party that is told by its address
    /// may also use one that tells nobody.
    pub(super) fn denied_left(&mut self, access: &Access, network: NetworkId) -> Node {
        let left = self.left(access);
        let mut parties = access.left.iter();
        if !parties.any(|party| self.told_by_address(*party, network)) {
            return left;
        }
        let unnamed = self
            .space
            .within(Field::Source, &link_local(self.space.family));
        self.or(&[left, unnamed])
    }

    /// Returns yes where a denial names who receives on a bridge: groups and broadcasts reach all of
    /// its containers.
    pub(super) fn denied_right(&mut self, access: &Access, network: NetworkId) -> Node {
        let mut all: Vec<Node> = access.right.iter().map(|it| self.target(*it)).collect();
        let mut parties = access.right.iter();
        if parties.any(|party| self.told_by_address(*party, network)) {
            let everybody = self.everybody(network);
            all.push(self.space.within(Field::Destination, &everybody));
        }
        self.or(&all)
    }

    /// Tells whether rules know a party of a network by its addresses alone.
    fn told_by_address(&self, party: Party, network: NetworkId) -> bool {
        match party {
            Party::Container(id) => self.container(id).is_on(network),
            Party::Any | Party::Host | Party::Network(_) | Party::Outside | Party::Trust(_) => {
                false
            }
        }
    }

    /// Returns the addresses by which somebody on a bridge is reached, whoever it is.
    fn everybody(&self, network: NetworkId) -> IntervalSet {
        match self.family() {
            Family::V6 => link_local(Family::V6).union(&prefixes([&IpNet::from(GROUPS_V6)])),
            Family::V4 => {
                let subnets = self.network(network).subnets.iter();
                let subnets = subnets.filter(|net| net.addr().is_ipv4());
                let broadcasts = subnets.map(|net| IpNet::from(net.broadcast()));
                let all: Vec<IpNet> = broadcasts
                    .chain([GROUPS_V4.into(), IpAddr::V4(Ipv4Addr::BROADCAST).into()])
                    .collect();
                prefixes(&all)
            }
        }
    }
}

fn address(interface: Field) -> Field {
    match interface {
        Field::Input => Field::Source,
        _ => Field::Destination,
    }
}
