//! What is false before anything else is known of a packet, and what has to get past the engine's own
//! drops of routed access.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

use super::Says;
use super::parties::link_local;
use crate::diagram::Node;
use crate::meaning::space::{Field, bits, ports, prefixes};
use crate::net::{Family, IntervalSet, PortRange};
use crate::policy::ir::{Effect, NetworkId, Party, Protocol, Service};

/// What the policy says before connections are known.
#[derive(Debug, Clone, Copy)]
pub(in crate::meaning) struct Raw {
    pub drop: Node,
    /// Has to get past the engine's drops.
    pub must: Node,
    /// May get past them: the gate decides about it afterwards.
    pub may: Node,
}

impl<'p> Says<'p> {
    pub(in crate::meaning) fn raw(&mut self) -> Raw {
        let drop = self.false_packets();
        let lo = self.interface(Field::Input, "lo");
        let out = self.or(&[drop, lo]);
        let (must, may) = if self.engine().drops_routed() {
            (self.routed(true), self.routed(false))
        } else {
            (Node::NO, Node::NO)
        };
        Raw {
            drop,
            must: self.space.diagrams.except(must, out),
            may: self.space.diagrams.except(may, out),
        }
    }

    /// Returns yes for packets with a source that does not belong where they come from, or to a
    /// loopback address of the host from elsewhere.
    fn false_packets(&mut self) -> Node {
        let mut all = Vec::new();
        if self.family() == Family::V4 {
            let loopback = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
            let set = prefixes([&IpNet::from(loopback)]);
            all.push(self.space.within(Field::Destination, &set));
            if self.engine().routes_loopback() {
                all.push(self.space.within(Field::Source, &set));
            }
        }
        let any = self.or(&all);
        let lo = self.interface(Field::Input, "lo");
        let loopback = self.space.diagrams.except(any, lo);
        let sources = self.false_sources();
        self.or(&[loopback, sources])
    }

    /// Returns yes for packets from elsewhere that none of this host's `antispoof` networks could send:
    /// what later hooks never see.
    pub(in crate::meaning) fn false_sources(&mut self) -> Node {
        let mut all = Vec::new();
        for (id, network) in self.local() {
            if network.antispoof {
                all.push(self.false_source(id));
            }
        }
        let any = self.or(&all);
        let lo = self.interface(Field::Input, "lo");
        self.space.diagrams.except(any, lo)
    }

    fn false_source(&mut self, id: NetworkId) -> Node {
        let own = self.subnets(id);
        let sends = own.union(&link_local(self.family()));
        let (own, sends) = (
            self.space.within(Field::Source, &own),
            self.space.within(Field::Source, &sends),
        );
        let unnumbered = self.unnumbered();
        let sends = self.or(&[sends, unnumbered]);
        let here = self.input(id);
        let elsewhere = self.space.diagrams.except(own, here);
        let foreign = self.space.diagrams.except(here, sends);
        self.or(&[elsewhere, foreign])
    }

    /// Returns yes for what a machine sends before it has an address: a request to DHCP servers (RFC 2131),
    /// the search for another with its address (RFC 4862), its groups (RFC 2710, RFC 3810).
    fn unnumbered(&mut self) -> Node {
        let family = self.family();
        let all = match family {
            Family::V4 => {
                let port = PortRange {
                    first: 67,
                    last: 67,
                };
                let asks = self.service_at(Protocol::Udp, port);
                let everybody = bits(Ipv4Addr::BROADCAST.into());
                let to = self.space.is(Field::Destination, everybody);
                self.and(&[asks, to])
            }
            Family::V6 => {
                let free = self.sent_to_group("ff02::1:ff00:0/104", &[135]);
                let groups = self.sent_to_group("ff02::/16", &[131, 132, 143]);
                self.or(&[free, groups])
            }
        };
        let nobody = self.space.is(Field::Source, bits(family.unspecified()));
        self.and(&[nobody, all])
    }

    fn sent_to_group(&mut self, group: &str, kinds: &[u8]) -> Node {
        let group: Option<IpNet> = group.parse().ok();
        let to = self.space.within(Field::Destination, &prefixes(&group));
        let kinds = self.icmp(kinds);
        self.and(&[kinds, to])
    }

    /// Returns yes for what statements open over containers' own addresses, for the answers between
    /// networks, and for errors about either: as much of it as can come, or all that may be let by.
    fn routed(&mut self, strict: bool) -> Node {
        let mut all = vec![self.between_hosts()];
        for (network, _) in self.local() {
            for opening in self.openings(network) {
                all.extend(self.both_ways(network, opening, strict));
            }
            for (from, to, service) in self.offers(network) {
                all.extend(self.both_ways(network, (from, to, &[service]), strict));
            }
        }
        let opened = self.or(&all);
        // Nothing is let by, nor errors about it, where nothing is open.
        if opened == Node::NO {
            return opened;
        }
        let errors = self.errors();
        self.or(&[opened, errors])
    }

    fn between_hosts(&mut self) -> Node {
        let far = self.far();
        let from = self.space.within(Field::Source, &far);
        let to = self.local_subnets();
        let to = self.space.within(Field::Destination, &to);
        self.and(&[from, to])
    }

    fn local_subnets(&self) -> IntervalSet {
        let all = self.local().into_iter().map(|(id, _)| self.subnets(id));
        all.fold(IntervalSet::default(), |so_far, next| so_far.union(&next))
    }

    /// Returns everything that is opened in a network without the help of a published port: who, to
    /// whom, and what.
    fn openings(&self, network: NetworkId) -> Vec<(Party, Party, &'p [Service])> {
        let mut found = Vec::new();
        for access in self.accesses(Effect::Allow) {
            let rights = access.right.iter();
            let here = rights.filter(|right| !self.addressed(**right, network).is_empty());
            for right in here {
                let lefts = access.left.iter();
                found.extend(lefts.map(|left| (*left, *right, access.services.as_slice())));
            }
        }
        found
    }

    /// The same of what containers offer at their own addresses.
    fn offers(&self, network: NetworkId) -> Vec<(Party, Party, Service)> {
        let mut found = Vec::new();
        for (id, exposure) in self.exposures_on(network) {
            if exposure.published.is_none() {
                let service = Service::Ports(exposure.protocol, Some(exposure.ports));
                let to = Party::Container(id);
                found.extend(exposure.from.iter().map(|from| (*from, to, service)));
            }
        }
        found
    }

    fn both_ways(&mut self, network: NetworkId, opening: Opening<'_>, strict: bool) -> [Node; 2] {
        [
            self.opening(network, opening, strict),
            self.answer(network, opening),
        ]
    }

    fn opening(
        &mut self,
        network: NetworkId,
        (left, right, services): Opening<'_>,
        strict: bool,
    ) -> Node {
        let (within, host) = (self.input(network), self.interface(Field::Input, ""));
        let from = if strict {
            let from = self.source(left);
            // Within one bridge no engine drops anything here.
            let apart = self.or(&[within, host]);
            self.space.diagrams.except(from, apart)
        } else {
            let from = self.source_by_interface(left);
            self.space.diagrams.except(from, host)
        };
        let to = self.addressed(right, network);
        let to = self.space.within(Field::Destination, &to);
        let services = self.services(services);
        self.and(&[services, to, from])
    }

    /// Returns where a party may come from before anything is known of where a packet goes: whoever uses
    /// an uplink is outside.
    fn source_by_interface(&mut self, party: Party) -> Node {
        let uplinks = &self.policy.host.uplinks;
        match party {
            Party::Outside if uplinks.is_empty() => Node::YES,
            Party::Outside => {
                let names = uplinks.iter();
                let all: Vec<Node> = names
                    .map(|name| self.interface(Field::Input, &name.0))
                    .collect();
                self.or(&all)
            }
            // The gate looks at the interface.
            Party::Trust(id) => self.in_set(id, Field::Source),
            party => self.source(party),
        }
    }

    /// Returns the addresses of a party in a network: where a packet will leave is not known yet.
    fn addressed(&self, party: Party, network: NetworkId) -> IntervalSet {
        let subnets = self.subnets(network);
        match party {
            Party::Any => subnets,
            Party::Container(id) => self.addresses(id, network),
            Party::Network(id) if id == network => subnets,
            Party::Host | Party::Network(_) | Party::Outside | Party::Trust(_) => {
                IntervalSet::default()
            }
        }
    }

    /// What a container answers to another network's goes to a container's address as well. Which type
    /// of ICMP answers which is the gate's to know.
    fn answer(&mut self, network: NetworkId, (left, right, services): Opening<'_>) -> Node {
        let from = self.addressed(right, network);
        let from = self.space.within(Field::Source, &from);
        let to = self.peers(left, network);
        let to = self.space.within(Field::Destination, &to);
        let bridge = self.input(network);
        let services = self.answering(services);
        self.and(&[bridge, services, to, from])
    }

    fn answering(&mut self, services: &[Service]) -> Node {
        if services.is_empty() {
            return Node::YES;
        }
        let mut all = Vec::new();
        for service in services {
            all.push(match *service {
                Service::Icmp(Some(kind)) if !self.exists(kind.v4, kind.v6) => Node::NO,
                Service::Icmp(_) => self.services(&[Service::Icmp(None)]),
                Service::Ports(protocol, None) => self.services(&[Service::Ports(protocol, None)]),
                Service::Ports(protocol, Some(range)) => self.service_from(protocol, range),
            });
        }
        self.or(&all)
    }

    fn exists(&self, v4: Option<u8>, v6: Option<u8>) -> bool {
        match self.family() {
            Family::V4 => v4.is_some(),
            Family::V6 => v6.is_some(),
        }
    }

    fn service_from(&mut self, protocol: Protocol, range: PortRange) -> Node {
        let protocol = self.services(&[Service::Ports(protocol, None)]);
        let ports = ports(&[range]);
        let ports = self.space.within(Field::SourcePort, &ports);
        self.and(&[protocol, ports])
    }

    /// Returns the addresses that a party has in other networks of this host.
    fn peers(&self, party: Party, network: NetworkId) -> IntervalSet {
        let others = self.local().into_iter().filter(|(id, _)| *id != network);
        let others: Vec<NetworkId> = others.map(|(id, _)| id).collect();
        let everything = self.space.everything(Field::Destination);
        if others.is_empty() {
            return IntervalSet::default();
        }
        let empty = IntervalSet::default;
        let join = |sets: &mut dyn Iterator<Item = IntervalSet>| {
            sets.fold(empty(), |so_far, next| so_far.union(&next))
        };
        match party {
            Party::Any => everything,
            Party::Container(id) => {
                join(&mut others.iter().map(|other| self.addresses(id, *other)))
            }
            // Told by its bridge, whatever its addresses.
            Party::Network(id) if others.contains(&id) => everything,
            Party::Host | Party::Network(_) | Party::Outside | Party::Trust(_) => empty(),
        }
    }

    /// ICMP errors, of which path-MTU discovery lives: RFC 792, RFC 4443.
    fn errors(&mut self) -> Node {
        let kinds = match self.family() {
            Family::V4 => self.icmp(&[3, 11, 12]),
            Family::V6 => self.icmp(&[1, 2, 3, 4]),
        };
        let to = self.local_subnets();
        let to = self.space.within(Field::Destination, &to);
        self.and(&[kinds, to])
    }
}

type Opening<'s> = (Party, Party, &'s [Service]);
