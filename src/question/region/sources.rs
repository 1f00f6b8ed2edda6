//! Who sends.

use super::Region;
use crate::diagram::Node;
use crate::meaning::{Field, bits};
use crate::net::{Family, IntervalSet};
use crate::policy::ir::{ContainerId, NetworkId, Party};

impl Region<'_> {
    /// Returns yes for packets from a party: where it is to be let in, those that it can send by the way
    /// to it; else all that claim to be from it.
    pub(in crate::question) fn source(&mut self, party: Party, honest: bool) -> Node {
        match party {
            Party::Host => self.sent_by_host(),
            Party::Container(id) => self.sent_by_container(id),
            Party::Network(id) => {
                let set = self.inside(id);
                self.sent_by_network(id, &set)
            }
            Party::Outside if honest => self.sent_from_outside(),
            Party::Outside => self.sent_by_strangers(),
            Party::Trust(id) => self.sent_by_set(id.0, honest),
            Party::Any => {
                let networks = (0..self.policy.networks.len()).map(NetworkId);
                let mut all: Vec<Node> = networks
                    .map(|id| self.source(Party::Network(id), honest))
                    .collect();
                all.push(self.sent_from_elsewhere());
                all.push(self.sent_by_host());
                self.or(&all)
            }
        }
    }

    pub(super) fn sent_by_host(&mut self) -> Node {
        let host = self.input("");
        let own = self.own();
        let own = self.space.within(Field::Source, &own);
        self.and(&[host, own])
    }

    pub(super) fn sent_by_container(&mut self, id: ContainerId) -> Node {
        let Some(container) = self.known.containers.get(id.0) else {
            return Node::NO;
        };
        let mut all = Vec::new();
        for at in &container.attachments {
            let family = self.space.family;
            let here = at.addresses.iter().filter(|it| family.has(**it));
            let ranges = here.map(|it| (bits(*it), bits(*it))).collect();
            all.push(self.sent_by_network(at.network, &IntervalSet::from_ranges(ranges)));
        }
        self.or(&all)
    }

    /// Returns yes for some addresses of a network, by its bridge or from its host.
    pub(super) fn sent_by_network(&mut self, id: NetworkId, set: &IntervalSet) -> Node {
        let network = self.network(id);
        let input = if network.local {
            self.input(&network.bridge.0)
        } else {
            self.uplinks()
        };
        let source = self.space.within(Field::Source, set);
        self.and(&[input, source])
    }

    /// Returns yes for what arrives from outside the host's networks, by the interfaces that do that.
    pub(super) fn uplinks(&mut self) -> Node {
        let inner: Vec<&str> = self
            .policy
            .networks
            .iter()
            .map(|it| it.bridge.0.as_str())
            .collect();
        let told = self.policy.host.uplinks.iter().map(|it| it.0.clone());
        let links = self.machine.interfaces.iter().map(|link| link.name.clone());
        let mut names: Vec<String> = if self.policy.host.uplinks.is_empty() {
            links.collect()
        } else {
            told.collect()
        };
        names.retain(|name| !inner.contains(&name.as_str()) && name != "lo");
        let all: Vec<Node> = names.iter().map(|name| self.input(name)).collect();
        self.or(&all)
    }

    pub(super) fn sent_from_outside(&mut self) -> Node {
        let uplinks = self.uplinks();
        self.without_own(uplinks)
    }

    /// Returns yes for what arrives by any interface but a declared network's: from outside, from whoever
    /// the policy does not name, and from the engine's other networks.
    fn sent_from_elsewhere(&mut self) -> Node {
        let local = self.policy.networks.iter().filter(|network| network.local);
        let mut inner: Vec<&str> = local.map(|it| it.bridge.0.as_str()).collect();
        inner.extend(["", "lo"]);
        let inner: Vec<Node> = inner.iter().map(|name| self.input(name)).collect();
        let inner = self.or(&inner);
        let elsewhere = self.space.diagrams.not(inner);
        self.without_own(elsewhere)
    }

    /// Takes out addresses of declared networks, of the host, and those that nobody has.
    fn without_own(&mut self, sent: Node) -> Node {
        let nobody = self.declared().union(&self.own()).union(&self.special());
        let nobody = self.space.within(Field::Source, &nobody);
        self.without(sent, nobody)
    }

    /// Whoever a set names is spoken of by that name where something is closed to outside; but a set of
    /// half of the world is the world.
    pub(super) fn sent_by_strangers(&mut self) -> Node {
        let family = self.space.family;
        let sets = self.policy.trusts.iter().map(|trust| trust.set.of(family));
        let named = sets.filter(|set| !is_the_world(set, family));
        let known = named.fold(IntervalSet::default(), |so_far, next| so_far.union(next));
        let known = self.space.within(Field::Source, &known);
        let outside = self.sent_from_outside();
        self.without(outside, known)
    }

    pub(super) fn sent_by_set(&mut self, id: usize, honest: bool) -> Node {
        let trust = self.policy.trusts.get(id);
        let set = trust.map(|trust| trust.set.of(self.space.family).clone());
        let set = set
            .unwrap_or_default()
            .difference(&self.own())
            .difference(&self.special());
        let source = self.space.within(Field::Source, &set);
        if !honest {
            let (host, lo) = (self.input(""), self.input("lo"));
            let itself = self.or(&[host, lo]);
            return self.without(source, itself);
        }
        // By the bridge whose address it is, else from outside.
        let declared = self.declared();
        let mut all = Vec::new();
        for id in (0..self.policy.networks.len()).map(NetworkId) {
            let part = set.intersection(&self.subnets(id));
            all.push(self.sent_by_network(id, &part));
        }
        let rest = self.space.within(Field::Source, &set.difference(&declared));
        let uplinks = self.uplinks();
        all.push(self.and(&[rest, uplinks]));
        self.or(&all)
    }
}

/// Tells whether a set holds half of the addresses that are given out: of all in IPv4, of `2000::/3` in
/// IPv6 (RFC 4291, 2.4).
fn is_the_world(set: &IntervalSet, family: Family) -> bool {
    let half: u128 = match family {
        Family::V4 => 1 << 31,
        Family::V6 => 1 << 124,
    };
    let sizes = set.ranges().iter().map(|(first, last)| last - first);
    let size = sizes.fold(0u128, |sum, size| {
        sum.saturating_add(size).saturating_add(1)
    });
    size >= half
}
