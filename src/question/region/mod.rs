//! The packets that an expectation is about: from whom, by which way to whom.

use std::net::IpAddr;

mod reached;
mod sources;

use super::expect::unlimited;
use super::names;
use crate::diagram::Node;
use crate::meaning::{Field, Journey, Space, bits};
use crate::net::{Family, IntervalSet, PortRange};
use crate::netfilter::trace::Machine;
use crate::policy::ir::{ContainerId, Network, NetworkId, Party, Policy, Protocol, Service};

/// What is known of one host and family while its expectations are asked.
pub(super) struct Region<'r> {
    pub space: &'r mut Space,
    /// With an address for every container.
    policy: &'r Policy,
    /// What is to be open is so at the addresses that the policy knows, what is to be closed at any.
    known: &'r Policy,
    machine: &'r Machine,
    journey: &'r Journey,
}

/// A way by which connections are to be made: the packets that are sent on it, and those that arrive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    sent: Node,
    arrives: Node,
}

/// Ways that are all needed, or one of which is enough.
#[derive(Debug)]
pub(super) enum Ways {
    All(Vec<Way>),
    Either(Way, Way),
}

impl<'r> Region<'r> {
    pub(super) fn new(
        space: &'r mut Space,
        [policy, known]: [&'r Policy; 2],
        machine: &'r Machine,
        journey: &'r Journey,
    ) -> Self {
        Region {
            space,
            policy,
            known,
            machine,
            journey,
        }
    }

    fn and(&mut self, all: &[Node]) -> Node {
        self.space.diagrams.all_of(all)
    }

    fn or(&mut self, all: &[Node]) -> Node {
        self.space.diagrams.first_of(all)
    }

    fn without(&mut self, from: Node, what: Node) -> Node {
        self.space.diagrams.except(from, what)
    }

    fn input(&mut self, name: &str) -> Node {
        let atom = self.space.atom(name);
        self.space.is(Field::Input, atom)
    }

    fn set(&mut self, field: Field, addresses: &[IpAddr]) -> Node {
        let family = self.space.family;
        let here = addresses.iter().filter(|it| family.has(**it));
        let ranges = here.map(|it| (bits(*it), bits(*it))).collect();
        self.space.within(field, &IntervalSet::from_ranges(ranges))
    }

    fn network(&self, id: NetworkId) -> &'r Network {
        let network = self.policy.networks.get(id.0);
        network.unwrap_or_else(|| unreachable!("network ids come from the policy itself"))
    }

    fn subnets(&self, id: NetworkId) -> IntervalSet {
        let family = self.space.family;
        let nets = self.network(id).subnets.iter();
        let nets = nets.filter(|net| family.has(net.addr()));
        let range = |net: &ipnet::IpNet| (bits(net.network()), bits(net.broadcast()));
        IntervalSet::from_ranges(nets.map(range).collect())
    }

    fn declared(&self) -> IntervalSet {
        let all = (0..self.policy.networks.len()).map(|id| self.subnets(NetworkId(id)));
        all.fold(IntervalSet::default(), |so_far, next| so_far.union(&next))
    }

    /// Returns the addresses of this host's networks.
    fn local(&self) -> IntervalSet {
        let all = self.policy.networks.iter().zip((0..).map(NetworkId));
        let local = all.filter(|(network, _)| network.local);
        let subnets = local.map(|(_, id)| self.subnets(id));
        subnets.fold(IntervalSet::default(), |so_far, next| so_far.union(&next))
    }

    /// Returns the host's own addresses, those of loopback not among them.
    fn own(&self) -> IntervalSet {
        let nets = self
            .machine
            .interfaces
            .iter()
            .flat_map(|link| &link.addresses);
        let ranges = nets
            .map(|net| (bits(net.addr()), bits(net.addr())))
            .collect();
        IntervalSet::from_ranges(ranges).union(&names::any_routers(self.machine))
    }

    /// Addresses that no single machine elsewhere has: RFC 6890.
    fn special(&self) -> IntervalSet {
        let v4 = [
            (0, 0x00ff_ffff),
            (0x7f00_0000, 0x7fff_ffff),
            (0xe000_0000, 0xffff_ffff),
        ];
        let v6 = [
            (0, 1),
            (0xfe80 << 112, (0xfec0 << 112) - 1),
            (0xff00 << 112, u128::MAX),
        ];
        let ranges = match self.space.family {
            Family::V4 => v4.to_vec(),
            Family::V6 => v6.to_vec(),
        };
        IntervalSet::from_ranges(ranges).union(&self.ends())
    }

    /// The first and last addresses of the host's own subnets, which no machine there has.
    fn ends(&self) -> IntervalSet {
        let nets = self
            .machine
            .interfaces
            .iter()
            .flat_map(|link| &link.addresses);
        let four = nets.filter(|net| net.addr().is_ipv4());
        let ends = four.flat_map(|net| [net.network(), net.broadcast()]);
        IntervalSet::from_ranges(ends.map(|it| (bits(it), bits(it))).collect())
    }

    fn asking_host(&mut self, services: &[Service]) -> Node {
        let own = self.own();
        let here = self.space.within(Field::Destination, &own);
        let service = self.services(services);
        let sent = self.and(&[here, service]);
        let exposures = self.policy.containers.iter().flat_map(|it| &it.exposures);
        let mut sockets = Vec::new();
        for exposure in exposures {
            sockets.push(self.asked(exposure, exposure.ports));
        }
        let sockets = self.or(&sockets);
        self.without(sent, sockets)
    }

    fn asking_outside(&mut self, services: &[Service]) -> Node {
        let nobody = self.declared().union(&self.own()).union(&self.special());
        let nobody = self.space.within(Field::Destination, &nobody);
        let service = self.services(services);
        self.without(service, nobody)
    }

    /// Returns the ways by which a party is to be reached: containers of this host by a container's own
    /// address or by its published port, others by the port where there is one.
    pub(super) fn ways(&mut self, left: Party, right: Party, services: &[Service]) -> Ways {
        let arrives = self.reached(right, services);
        let way = |sent| Ways::All(vec![Way { sent, arrives }]);
        match right {
            Party::Container(id) => self.asking_container(left, id, services, arrives),
            Party::Host => way(self.asking_host(services)),
            Party::Outside => way(self.asking_outside(services)),
            Party::Any => {
                let special = self.special();
                let special = self.space.within(Field::Destination, &special);
                let service = self.services(services);
                way(self.without(service, special))
            }
            Party::Network(id) => {
                let set = self.inside(id);
                way(self.sent_to(&set, services))
            }
            Party::Trust(id) => {
                let trust = self.policy.trusts.get(id.0);
                let set = trust.map(|trust| trust.set.of(self.space.family).clone());
                let set = set.unwrap_or_default().difference(&self.own());
                way(self.sent_to(&set.difference(&self.local()), services))
            }
        }
    }

    /// Returns the addresses that containers of a network can have.
    fn inside(&self, id: NetworkId) -> IntervalSet {
        let others = self.ends().union(&self.own());
        self.subnets(id).difference(&others)
    }

    fn sent_to(&mut self, set: &IntervalSet, services: &[Service]) -> Node {
        let here = self.space.within(Field::Destination, set);
        let service = self.services(services);
        self.and(&[here, service])
    }

    fn asking_container(
        &mut self,
        left: Party,
        id: ContainerId,
        services: &[Service],
        arrives: Node,
    ) -> Ways {
        let set = self.addresses(self.known, id);
        let direct = self.sent_to(&set, services);
        let mut by_port = Vec::new();
        let mut covered = Vec::new();
        for (exposure, range) in self.meant(id, services) {
            let asked = self.asked(exposure, range);
            by_port.push(
                if exposure
                    .published
                    .as_ref()
                    .is_some_and(|it| it.address.is_none())
                {
                    self.at_the_front(asked)
                } else {
                    asked
                },
            );
            covered.push(self.service(Service::Ports(exposure.protocol, Some(range))));
        }
        let (by_port, covered) = (self.or(&by_port), self.or(&covered));
        let way = |sent| Way { sent, arrives };
        match left {
            Party::Container(_) | Party::Network(_) if by_port != Node::NO => {
                let rest = self.without(direct, covered);
                let published = self.or(&[by_port, rest]);
                Ways::Either(way(direct), way(published))
            }
            Party::Container(_) | Party::Network(_) => Ways::All(vec![way(direct)]),
            _ => {
                let rest = self.without(direct, covered);
                Ways::All(vec![way(by_port), way(rest)])
            }
        }
    }

    /// Of a port on every address of the host, the address that faces outside is asked.
    fn at_the_front(&mut self, asked: Node) -> Node {
        let link = self.machine.interfaces.first();
        let addresses = link.into_iter().flat_map(|link| &link.addresses);
        let front: Vec<IpAddr> = addresses.map(ipnet::IpNet::addr).collect();
        let front = self.set(Field::Destination, &front);
        self.and(&[asked, front])
    }

    /// Returns what is asked, and what of it does not arrive.
    pub(super) fn refused(&mut self, left: Node, ways: &Ways) -> (Node, Node) {
        match ways {
            Ways::All(ways) => {
                let (mut asked, mut refused) = (Vec::new(), Vec::new());
                for way in ways {
                    let (sent, lost) = self.lost(left, *way);
                    asked.push(sent);
                    refused.push(lost);
                }
                (self.or(&asked), self.or(&refused))
            }
            Ways::Either(one, other) => {
                let first = self.lost(left, *one);
                let second = self.lost(left, *other);
                if second.0 != Node::NO && second.1 == Node::NO || first.0 == Node::NO {
                    second
                } else {
                    first
                }
            }
        }
    }

    fn lost(&mut self, left: Node, way: Way) -> (Node, Node) {
        let sent = self.and(&[way.sent, left]);
        let arrives = unlimited(self.space, way.arrives);
        (sent, self.without(sent, arrives))
    }
}

fn number(protocol: Protocol) -> u128 {
    match protocol {
        Protocol::Icmp => 1,
        Protocol::Sctp => 132,
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

fn ports(range: PortRange) -> IntervalSet {
    IntervalSet::from_ranges(vec![(range.first.into(), range.last.into())])
}
