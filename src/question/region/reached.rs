//! What is asked for, and what gets there.

use std::net::IpAddr;

use super::{Region, number, ports};
use crate::diagram::Node;
use crate::meaning::{End, Fate, Field, bits};
use crate::net::{Family, IntervalSet, PortRange};
use crate::policy::ir::{ContainerId, Engine, Exposure, IcmpType, Owner, Party, Policy, Service};

impl<'r> Region<'r> {
    /// Returns yes for packets of some services, empty for all.
    pub(super) fn services(&mut self, services: &[Service]) -> Node {
        if services.is_empty() {
            return Node::YES;
        }
        let all: Vec<Node> = services.iter().map(|it| self.service(*it)).collect();
        self.or(&all)
    }

    pub(super) fn service(&mut self, service: Service) -> Node {
        match service {
            Service::Icmp(kind) => self.icmp(kind),
            Service::Ports(protocol, range) => {
                let protocol = self.space.is(Field::Protocol, number(protocol));
                let all = PortRange {
                    first: 0,
                    last: u16::MAX,
                };
                let range = range.unwrap_or(all);
                let ports = self.space.within(Field::Port, &ports(range));
                self.and(&[protocol, ports])
            }
        }
    }

    pub(super) fn icmp(&mut self, kind: Option<IcmpType>) -> Node {
        let (protocol, number) = match self.space.family {
            Family::V4 => (1, kind.map(|kind| kind.v4)),
            Family::V6 => (58, kind.map(|kind| kind.v6)),
        };
        let protocol = self.space.is(Field::Protocol, protocol);
        let kinds = match number {
            None => self.space.everything(Field::Icmp),
            Some(None) => IntervalSet::default(),
            Some(Some(kind)) => {
                let first = u128::from(kind) << 8;
                IntervalSet::from_ranges(vec![(first, first | 255)])
            }
        };
        let kinds = self.space.within(Field::Icmp, &kinds);
        self.and(&[protocol, kinds])
    }

    pub(super) fn those(&mut self, wanted: &dyn Fn(&Fate) -> bool) -> Node {
        self.journey.those(self.space, wanted)
    }

    /// Returns yes for packets that get to one of some addresses for some services, by whatever way.
    pub(super) fn reaches(&mut self, set: &IntervalSet, services: &[Service]) -> Node {
        let plain = self.those(&|fate| fate.arrives() && fate.to.is_none());
        let here = self.space.within(Field::Destination, set);
        let service = self.services(services);
        let mut all = vec![self.and(&[plain, here, service])];
        for (address, port) in self.translations(set) {
            let led = self.those(&|fate| fate.arrives() && fate.to == Some((address, port)));
            let service = self.services_behind(services, port);
            // Without a new address it is the one that was asked for.
            let there = if address.is_some() { Node::YES } else { here };
            all.push(self.and(&[led, service, there]));
        }
        self.or(&all)
    }

    /// Returns where packets are led: to some addresses, or to another port alone.
    fn translations(&self, set: &IntervalSet) -> Vec<(Option<IpAddr>, Option<u16>)> {
        let answers = self.space.diagrams.answers(self.journey.node);
        let fates = answers.into_iter().map(|answer| self.journey.fate(answer));
        let mut found: Vec<_> = fates
            .filter_map(|fate| fate.to)
            .filter(|(address, _)| address.is_none_or(|it| set.contains(bits(it))))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns yes for the services that are meant where a packet's port was translated.
    pub(super) fn services_behind(&mut self, services: &[Service], port: Option<u16>) -> Node {
        let Some(port) = port else {
            return self.services(services);
        };
        if services.is_empty() {
            return Node::YES;
        }
        let meant = services.iter().filter_map(|service| match *service {
            Service::Ports(protocol, range) if range.is_none_or(|it| it.contains(port)) => {
                Some(protocol)
            }
            _ => None,
        });
        let all: Vec<Node> = meant
            .map(|protocol| self.space.is(Field::Protocol, number(protocol)))
            .collect();
        self.or(&all)
    }

    /// Returns yes for packets that get to a party.
    pub(in crate::question) fn reached(&mut self, party: Party, services: &[Service]) -> Node {
        match party {
            Party::Any => {
                let arrives = self.those(&Fate::arrives);
                let service = self.services(services);
                self.and(&[arrives, service])
            }
            Party::Host => self.reaches_host(services),
            Party::Container(id) => {
                let set = self.addresses(self.policy, id);
                let direct = self.reaches(&set, services);
                let proxied = self.proxied(id, services);
                self.or(&[direct, proxied])
            }
            Party::Network(id) => {
                let set = self.inside(id);
                let mut all = vec![self.reaches(&set, services)];
                for (at, container) in self.policy.containers.iter().enumerate() {
                    if container.is_on(id) {
                        all.push(self.proxied(ContainerId(at), services));
                    }
                }
                self.or(&all)
            }
            Party::Outside => self.leaves(services),
            Party::Trust(id) => {
                let trust = self.policy.trusts.get(id.0);
                let set = trust.map(|trust| trust.set.of(self.space.family).clone());
                self.reaches(&set.unwrap_or_default(), services)
            }
        }
    }

    pub(super) fn addresses(&self, policy: &Policy, id: ContainerId) -> IntervalSet {
        let container = policy.containers.get(id.0);
        let all = container.into_iter().flat_map(|it| &it.attachments);
        let family = self.space.family;
        let all = all
            .flat_map(|at| &at.addresses)
            .filter(|it| family.has(**it));
        IntervalSet::from_ranges(all.map(|it| (bits(*it), bits(*it))).collect())
    }

    /// Returns yes for packets to the host's own sockets, published ports not among them.
    pub(super) fn reaches_host(&mut self, services: &[Service]) -> Node {
        let host = self.those(&|fate| fate.end == End::Host && fate.to.is_none());
        let sent = self.asking_host(services);
        self.and(&[host, sent])
    }

    /// Returns yes for packets that ask for the host's ports of some of an exposure's.
    pub(super) fn asked(&mut self, exposure: &Exposure, inner: PortRange) -> Node {
        let Some(published) = &exposure.published else {
            return Node::NO;
        };
        let outer = |port: u16| published.ports.first + (port - exposure.ports.first);
        let range = PortRange {
            first: outer(inner.first),
            last: outer(inner.last),
        };
        let service = self.service(Service::Ports(exposure.protocol, Some(range)));
        let at = if let Some(address) = published.address {
            self.set(Field::Destination, &[address])
        } else {
            let own = self.own();
            self.space.within(Field::Destination, &own)
        };
        self.and(&[service, at])
    }

    /// Returns yes for packets that the engine's proxy gets for a container.
    pub(super) fn proxied(&mut self, id: ContainerId, services: &[Service]) -> Node {
        if matches!(self.policy.host.engine, Engine::None(_)) {
            return Node::NO;
        }
        let host = self.those(&|fate| fate.end == End::Host && fate.to.is_none());
        let mut all = Vec::new();
        for (exposure, range) in self.meant(id, services) {
            all.push(self.asked(exposure, range));
        }
        let asked = self.or(&all);
        self.and(&[host, asked])
    }

    /// Returns the published exposures of a container with the ports that are meant.
    pub(super) fn meant(
        &self,
        id: ContainerId,
        services: &[Service],
    ) -> Vec<(&'r Exposure, PortRange)> {
        let container = self.policy.containers.get(id.0).into_iter();
        let exposures = container.flat_map(|it| &it.exposures);
        let unopened = self.policy.undeclared.ports.iter();
        let unopened = unopened.filter_map(|port| match &port.owner {
            Owner::Declared(of, exposure) if *of == id => Some(exposure),
            _ => None,
        });
        let exposures = exposures.chain(unopened);
        let published = exposures.filter(|it| it.published.is_some());
        let mut found = Vec::new();
        for exposure in published {
            if services.is_empty() {
                found.push((exposure, exposure.ports));
            }
            for service in services {
                if let Service::Ports(protocol, range) = *service {
                    let range =
                        range.map_or(Some(exposure.ports), |it| it.intersection(exposure.ports));
                    let range = range.filter(|_| protocol == exposure.protocol);
                    found.extend(range.map(|range| (exposure, range)));
                }
            }
        }
        found
    }

    pub(super) fn leaves(&mut self, services: &[Service]) -> Node {
        let inner: Vec<&str> = self
            .policy
            .networks
            .iter()
            .map(|it| it.bridge.0.as_str())
            .collect();
        let out = |fate: &Fate| match &fate.end {
            End::Out(name) => !inner.contains(&name.as_str()) && name != "lo",
            _ => false,
        };
        let left = self.those(&out);
        let sent = self.asking_outside(services);
        self.and(&[left, sent])
    }
}
