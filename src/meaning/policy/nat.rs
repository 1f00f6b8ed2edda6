//! Translation: where published ports lead when no engine says so, and whose source stays.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use super::Says;
use crate::diagram::Node;
use crate::meaning::outcome::{Outcome, Verdict};
use crate::meaning::space::{Field, bits, prefixes};
use crate::net::{Family, PortRange};
use crate::netfilter::dump::Translation;
use crate::policy::ir::{ContainerId, Exposure, NetworkId};

/// What the policy says of sources that leave.
#[derive(Debug, Clone, Copy)]
pub(in crate::meaning) struct Sources {
    /// Have to stay.
    pub kept: Node,
    /// May stay: nothing hides them anyway, or nothing asks.
    pub may_stay: Node,
    /// Have to give way to the host's.
    pub hidden: Node,
    /// May give way.
    pub may_hide: Node,
}

impl Says<'_> {
    /// Returns the outcomes of packets that ask for published ports; others go on.
    pub(in crate::meaning) fn translations(&mut self) -> Node {
        if self.engine().translates() {
            return Node::NO;
        }
        let mut all = Vec::new();
        for (id, container) in (0..).map(ContainerId).zip(&self.policy.containers) {
            let mut networks = container.attachments.iter().map(|at| at.network);
            let here = networks.any(|network| self.network(network).local);
            for exposure in container.exposures.iter().filter(|_| here) {
                all.extend(self.translation(id, exposure));
            }
        }
        let all = self.or(&all);
        match self.family() {
            Family::V4 => all,
            // Nothing routes it to another interface; who listens there is left to serve it.
            Family::V6 => {
                let itself = IpAddr::V6(Ipv6Addr::LOCALHOST);
                let itself = self.space.is(Field::Destination, bits(itself));
                self.space.diagrams.except(all, itself)
            }
        }
    }

    fn translation(&mut self, id: ContainerId, exposure: &Exposure) -> Vec<Node> {
        let family = self.family();
        let Some((published, (_, inner))) = exposure
            .published
            .as_ref()
            .zip(self.container(id).published_at(family))
        else {
            return Vec::new();
        };
        let host = match published.address {
            // Any address of the host.
            None => self.space.is(Field::DestinationType, 1),
            Some(address) if family.has(address) => {
                self.space.is(Field::Destination, bits(address))
            }
            Some(_) => return Vec::new(),
        };
        let mut found = Vec::new();
        for (outer, port) in steps(published.ports, exposure.ports) {
            let asked = self.service_at(exposure.protocol, outer);
            let ports = port.map(|port| PortRange {
                first: port,
                last: port,
            });
            let addresses = Some((inner, inner));
            let leads = Outcome::of(Verdict::Dnat(Translation { addresses, ports }));
            let leads = self.space.outcome(&leads);
            let asked = self.and(&[asked, host]);
            found.push(self.space.diagrams.guard(asked, leads));
        }
        found
    }

    /// Returns whose source stays, and whose gives way. `peers` tells whether anything is granted from one network
    /// to another over containers' own addresses.
    pub(in crate::meaning) fn sources_kept(&mut self, peers: bool) -> Sources {
        let afar = self.leaving_for_others();
        let between = self.between_networks();
        let kept = if peers {
            self.or(&[afar, between])
        } else {
            afar
        };
        let may_stay = self.or(&[afar, between]);
        let hidden = if self.engine().translates() {
            Node::NO
        } else {
            self.masked()
        };
        Sources {
            kept,
            may_stay,
            hidden: self.space.diagrams.except(hidden, may_stay),
            may_hide: self.space.diagrams.except(hidden, kept),
        }
    }

    fn leaving_for_others(&mut self) -> Node {
        let own = self.own_source();
        let far = self.far();
        let far = self.space.within(Field::Destination, &far);
        self.and(&[far, own])
    }

    fn own_source(&mut self) -> Node {
        let mut all = Vec::new();
        for (id, _) in self.local() {
            let subnets = self.subnets(id);
            all.push(self.space.within(Field::Source, &subnets));
        }
        self.or(&all)
    }

    /// Granted, from one network of this host to another, and not by a published port.
    fn between_networks(&mut self) -> Node {
        let own = self.own_source();
        let to = self.any_bridge(Field::Output);
        let translated = self.translated();
        let granted = self.granted();
        let all = self.and(&[to, own, granted]);
        self.space.diagrams.except(all, translated)
    }

    /// Returns yes for packets that carry the grant.
    pub(in crate::meaning) fn granted(&mut self) -> Node {
        let bit = self.policy.host.mark.trailing_zeros();
        let level = self.space.mark(false, bit);
        self.space.diagrams.bit(level)
    }

    /// Tells whether a condition holds for a new packet from one network of this host to another, with
    /// nothing translated.
    pub(in crate::meaning) fn is_between_networks(&mut self, condition: Node) -> bool {
        let mut all = Vec::new();
        for (id, _) in self.local() {
            let (from, to) = (self.any_bridge(Field::Input), self.output(id));
            let own = self.input(id);
            let from = self.space.diagrams.except(from, own);
            let subnets = self.subnets(id);
            let there = self.space.within(Field::Destination, &subnets);
            all.push(self.and(&[from, to, there]));
        }
        let between = self.or(&all);
        let new = self.space.is(Field::State, 0);
        let translated = self.translated();
        let found = self.and(&[between, new, condition]);
        self.space.diagrams.except(found, translated) != Node::NO
    }

    /// Sources to which answers would not come back.
    fn masked(&mut self) -> Node {
        let mut all = Vec::new();
        for (id, _) in self.local() {
            let subnets = self.subnets(id);
            let own = self.space.within(Field::Source, &subnets);
            let bridge = self.output(id);
            let elsewhere = self.space.diagrams.except(own, bridge);
            let translated = self.translated();
            let neighbour = self.and(&[own, bridge, translated]);
            all.extend([elsewhere, neighbour, self.loopback(id)]);
        }
        self.or(&all)
    }

    /// The host asks for a published port by a loopback address.
    fn loopback(&mut self, id: NetworkId) -> Node {
        let asked = self.policy.loopback_published(id).is_some();
        if !asked || self.family() == Family::V6 {
            return Node::NO;
        }
        let loopback = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
        let loopback = prefixes([&IpNet::from(loopback)]);
        let source = self.space.within(Field::Source, &loopback);
        let bridge = self.output(id);
        self.and(&[bridge, source])
    }
}

/// Returns the host's ports with the container's behind them: all at once where they are the same, and
/// then no port is translated.
fn steps(outer: PortRange, inner: PortRange) -> Vec<(PortRange, Option<u16>)> {
    if outer == inner {
        return vec![(outer, None)];
    }
    let outer = outer.first..=outer.last;
    let one = |port: u16| PortRange {
        first: port,
        last: port,
    };
    let pairs = outer.zip(inner.first..=inner.last);
    pairs
        .map(|(outer, inner)| (one(outer), Some(inner)))
        .collect()
}
