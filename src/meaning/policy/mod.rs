//! What a policy means at each hook, from its statements and docs/language.md alone: nothing here
//! knows how rules are made, nor in which order.

mod effects;
mod forward;
mod host;
mod limits;
mod nat;
mod parties;
mod raw;

use std::collections::HashMap;
use std::sync::Arc;

use super::packet::Sample;
use super::space::{Atom, Field, Space, prefixes};
use crate::diagram::Node;
use crate::net::{Family, IntervalSet, PortRange};
use crate::policy::ir::{
    Access, Container, ContainerId, ENGINE_BRIDGES, Effect, Engine, Exposure, Network, NetworkId,
    Party, Policy, Protocol,
};
use crate::source::Span;

pub use effects::Setting;
pub(super) use effects::{Effects, Part};
pub(super) use forward::Forward;
pub(super) use raw::Raw;

/// Returns the interfaces that a policy tells from others, as a [`Space`] takes them.
pub fn interfaces(policy: &Policy) -> Vec<String> {
    let bridges = policy.networks.iter().map(|network| &network.bridge);
    let named = bridges.chain(policy.elsewhere());
    let named = named.chain(&policy.undeclared.bridges);
    let named = named.map(|name| name.0.clone());
    let starts = ENGINE_BRIDGES.iter().map(|start| format!("{start}+"));
    named.chain(starts).chain(["lo".to_owned()]).collect()
}

/// Returns the bridges of the networks of this host, as values of an interface.
fn bridges(space: &Space, policy: &Policy) -> IntervalSet {
    let local = policy.networks.iter().filter(|network| network.local);
    let atoms = local.map(|network| space.atom(&network.bridge.0));
    IntervalSet::from_ranges(atoms.map(|atom| (atom, atom)).collect())
}

/// A policy as one family's packets see it.
#[derive(Debug)]
pub(super) struct Says<'p> {
    pub(super) space: Space,
    policy: &'p Policy,
    /// Packets to the ports that were asked for.
    services: HashMap<(Protocol, PortRange), Node>,
    /// Sources of the parties that were asked for.
    sources: HashMap<Party, Node>,
    senders: HashMap<Party, (IntervalSet, Node)>,
    /// The bridges of this host's networks, as values of an interface.
    bridges: IntervalSet,
    /// Functions that hold on one of them.
    ends: HashMap<(Field, NetworkId), Node>,
    /// Functions that hold on any of them, of the fields that were asked for.
    any_bridge: HashMap<Field, Node>,
    /// Sources of the lists of parties that were asked for, by where each list lies; it is kept, so that no
    /// other comes to lie there.
    lefts: HashMap<usize, (Arc<[Party]>, Node)>,
}

impl<'p> Says<'p> {
    pub(super) fn new(space: Space, policy: &'p Policy) -> Self {
        Says {
            bridges: bridges(&space, policy),
            space,
            policy,
            ends: HashMap::new(),
            any_bridge: HashMap::new(),
            services: HashMap::new(),
            sources: HashMap::new(),
            senders: HashMap::new(),
            lefts: HashMap::new(),
        }
    }

    fn family(&self) -> Family {
        self.space.family
    }

    /// Returns the networks of this host.
    fn local(&self) -> Vec<(NetworkId, &'p Network)> {
        let all = (0..).map(NetworkId).zip(&self.policy.networks);
        all.filter(|(_, network)| network.local).collect()
    }

    fn network(&self, id: NetworkId) -> &'p Network {
        let network = self.policy.networks.get(id.0);
        network.unwrap_or_else(|| unreachable!("network ids come from the policy itself"))
    }

    fn container(&self, id: ContainerId) -> &'p Container {
        let container = self.policy.containers.get(id.0);
        container.unwrap_or_else(|| unreachable!("container ids come from the policy itself"))
    }

    /// Returns the exposures of all containers on a network, in the order written.
    fn exposures_on(&self, network: NetworkId) -> Vec<(ContainerId, &'p Exposure)> {
        let all = (0..).map(ContainerId).zip(&self.policy.containers);
        let here = all.filter(|(_, container)| container.is_on(network));
        here.flat_map(|(id, container)| container.exposures.iter().map(move |it| (id, it)))
            .collect()
    }

    fn accesses(&self, effect: Effect) -> impl Iterator<Item = &'p Access> + use<'p> {
        let all = self.policy.accesses.iter();
        all.filter(move |access| access.effect == effect)
    }

    fn engine(&self) -> Engine {
        self.policy.host.engine
    }

    /// Returns a network's subnets of this family.
    fn subnets(&self, id: NetworkId) -> IntervalSet {
        let family = self.family();
        let subnets = self.network(id).subnets.iter();
        prefixes(subnets.filter(|net| family.has(net.addr())))
    }

    /// Returns the subnets of other hosts' networks.
    fn far(&self) -> IntervalSet {
        let family = self.family();
        let networks = self.policy.networks.iter().filter(|network| !network.local);
        let subnets = networks.flat_map(|network| &network.subnets);
        prefixes(subnets.filter(|net| family.has(net.addr())))
    }

    fn input(&mut self, id: NetworkId) -> Node {
        self.bridge(Field::Input, id)
    }

    fn output(&mut self, id: NetworkId) -> Node {
        self.bridge(Field::Output, id)
    }

    /// Returns yes where a packet comes, or goes, by a network's bridge.
    fn bridge(&mut self, field: Field, id: NetworkId) -> Node {
        if let Some(known) = self.ends.get(&(field, id)) {
            return *known;
        }
        let node = self.interface(field, &self.network(id).bridge.0);
        self.ends.insert((field, id), node);
        node
    }

    /// Returns yes where a packet comes, or goes, by the bridge of any network of this host.
    fn any_bridge(&mut self, field: Field) -> Node {
        if let Some(known) = self.any_bridge.get(&field) {
            return *known;
        }
        let node = self.space.within(field, &self.bridges);
        self.any_bridge.insert(field, node);
        node
    }

    /// Returns yes where a packet comes, or goes, by a bridge of the engine's, declared or not.
    fn engines(&mut self, field: Field) -> Node {
        let is_bridge = |atom: &Atom| match atom {
            Atom::Name(name) | Atom::Beginning(name) => self.policy.is_engines(name),
            Atom::None | Atom::Other => false,
        };
        let atoms = self.space.atoms().iter().zip(0u128..);
        let bridges = atoms.filter(|(atom, _)| is_bridge(atom));
        let bridges = bridges.map(|(_, at)| (at, at)).collect();
        self.space.within(field, &IntervalSet::from_ranges(bridges))
    }

    /// Returns yes where a packet comes, or goes, by an interface of a name; by none for an empty one.
    fn interface(&mut self, field: Field, name: &str) -> Node {
        let atom = self.space.atom(name);
        self.space.is(field, atom)
    }

    fn and(&mut self, all: &[Node]) -> Node {
        self.space.diagrams.all_of(all)
    }

    fn or(&mut self, all: &[Node]) -> Node {
        self.space.diagrams.first_of(all)
    }

    fn not(&mut self, node: Node) -> Node {
        self.space.diagrams.not(node)
    }

    /// Returns yes for packets of connections that are known.
    pub(super) fn known(&mut self) -> Node {
        self.space
            .within(Field::State, &IntervalSet::from_ranges(vec![(1, 2)]))
    }

    /// Returns yes for ICMP messages of some types.
    fn icmp(&mut self, kinds: &[u8]) -> Node {
        let protocol = match self.family() {
            Family::V4 => 1,
            Family::V6 => 58,
        };
        let range = |kind: &u8| (u128::from(*kind) << 8, u128::from(*kind) << 8 | 255);
        let kinds = IntervalSet::from_ranges(kinds.iter().map(range).collect());
        let (protocol, kinds) = (
            self.space.is(Field::Protocol, protocol),
            self.space.within(Field::Icmp, &kinds),
        );
        self.and(&[protocol, kinds])
    }

    /// Returns the statements and exposures that name a packet, each by its place in the policy.
    pub(super) fn naming(&mut self, packet: &Sample) -> Vec<Span> {
        let mut found = Vec::new();
        let networks: Vec<NetworkId> = self.local().iter().map(|(id, _)| *id).collect();
        for access in &self.policy.accesses {
            let mut nodes = vec![self.named(access)];
            for id in &networks {
                let (left, right) = (
                    self.denied_left(access, *id),
                    self.denied_right(access, *id),
                );
                let services = self.services(&access.services);
                nodes.push(self.and(&[services, right, left]));
            }
            found.push((access.span, self.or(&nodes)));
        }
        for id in networks {
            for (container, exposure) in self.exposures_on(id) {
                let here = self.opening_of(container, id, exposure);
                found.push((exposure.span, self.offered_at(here, exposure)));
            }
        }
        let names = |node: &Node| self.space.diagrams.evaluate(*node, &|it| packet.value(it)) != 0;
        let mut spans: Vec<Span> = found
            .into_iter()
            .filter(|it| names(&it.1))
            .map(|it| it.0)
            .collect();
        spans.sort_unstable();
        spans.dedup();
        spans
    }

    /// Returns yes for the messages by which IPv6 neighbours and routers find each other, RFC 4861.
    fn discovery(&mut self) -> Node {
        match self.family() {
            Family::V4 => Node::NO,
            Family::V6 => self.icmp(&[133, 134, 135, 136]),
        }
    }
}
