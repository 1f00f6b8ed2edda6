//! What each part of a policy does by itself at each hook, whatever all others say.

use super::Says;
use super::forward::exactly;
use super::host::Socket;
use super::parties::number;
use crate::diagram::Node;
use crate::meaning::space::Field;
use crate::policy::ir::{Access, ContainerId, Effect, Exposure, Network, NetworkId, Party};
use crate::source::Span;

/// What says who may connect, or may not: one `allow` or `deny`, one right side of a `link`, or the
/// `from` of one range of ports.
#[derive(Debug, Clone, Copy)]
pub(in crate::meaning) enum Part<'p> {
    Access(&'p Access),
    Exposure(ContainerId, &'p Exposure),
}

/// Why something is open without a statement; where it is a network's setting, with the network's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    Egress(Span),
    /// Ports of the host are open to whoever is on no network of it.
    Host,
    HostAccess(Span),
    Icc(Span),
}

/// A part's condition at a hook.
#[derive(Debug, Clone, Copy)]
pub(in crate::meaning) struct Does {
    /// All that it opens or denies.
    pub all: Node,
    /// What of it is so without a limit.
    pub surely: Node,
}

impl Does {
    fn surely(node: Node) -> Self {
        Does {
            all: node,
            surely: node,
        }
    }
}

/// A hook, for packets about which statements decide.
#[derive(Debug)]
pub(in crate::meaning) struct Effects {
    /// These packets.
    pub care: Node,
    /// Open unless it is denied, whatever is allowed.
    pub open: Node,
    /// What of that makes it needless to allow it.
    pub settled: Node,
    /// In the order of the parts, and for other packets, too.
    pub parts: Vec<Does>,
}

impl<'p> Says<'p> {
    /// Returns everything in the policy that opens or denies something, in the same order on each host.
    pub(in crate::meaning) fn parts(&self) -> Vec<Part<'p>> {
        let mut all: Vec<Part<'_>> = self.policy.accesses.iter().map(Part::Access).collect();
        for (id, container) in (0..).map(ContainerId).zip(&self.policy.containers) {
            let offered = container.exposures.iter().filter(|it| !it.from.is_empty());
            all.extend(offered.map(|exposure| Part::Exposure(id, exposure)));
        }
        all
    }

    /// Returns what happens to forwarded packets.
    pub(in crate::meaning) fn forwarded(&mut self, parts: &[Part<'p>]) -> Effects {
        let care = self.decided_forwarded();
        let mut open = Vec::new();
        let bridge = self.any_bridge(Field::Output);
        for (id, network) in self.local() {
            let (here, there) = (self.input(id), self.output(id));
            if network.icc {
                open.push(self.and(&[here, there]));
            }
            if network.egress {
                open.push(self.space.diagrams.except(here, bridge));
            }
        }
        let open = self.or(&open);
        let parts = parts.iter().map(|part| self.forwards(*part, bridge));
        let parts = parts.collect();
        let open = self.and(&[care, open]);
        Effects {
            care,
            open,
            settled: open,
            parts,
        }
    }

    /// New connections into a network of this host, or out of one.
    fn decided_forwarded(&mut self) -> Node {
        let (input, output) = (Field::Input, Field::Output);
        let bridges = [self.any_bridge(input), self.any_bridge(output)];
        let bridges = self.or(&bridges);
        let none = [self.interface(input, ""), self.interface(output, "")];
        let mut free = vec![self.known(), self.false_sources()];
        free.extend(none);
        let neighbours = self.neighbours();
        for (id, _) in self.local() {
            let (here, there) = (self.input(id), self.output(id));
            free.push(self.and(&[here, there, neighbours]));
        }
        let free = self.or(&free);
        self.space.diagrams.except(bridges, free)
    }

    fn forwards(&mut self, part: Part<'p>, bridge: Node) -> Does {
        match part {
            Part::Access(access) if access.effect == Effect::Allow => {
                Does::surely(self.named(access))
            }
            Part::Access(access) => Does::surely(self.denies_forwarded(access, bridge)),
            Part::Exposure(id, exposure) => self.offers_forwarded(id, exposure, bridge),
        }
    }

    fn denies_forwarded(&mut self, access: &Access, bridge: Node) -> Node {
        let named = self.named(access);
        let mut all = vec![self.space.diagrams.except(named, bridge)];
        for (id, _) in self.local() {
            let entering = self.denied_by(access, id);
            let within = self.denied_within_by(access, id);
            let (here, there) = (self.input(id), self.output(id));
            let denied = self.space.diagrams.select(here, within, entering);
            all.push(self.and(&[there, denied]));
        }
        self.or(&all)
    }

    /// Limits hold where a network is entered, not where packets leave for one of another host.
    fn offers_forwarded(&mut self, id: ContainerId, exposure: &Exposure, bridge: Node) -> Does {
        let mut entering = Vec::new();
        for network in self.homes(id) {
            let mut here = self.opening_of(id, network, exposure);
            let bridge = self.space.atom(&self.network(network).bridge.0);
            here.push((Field::Output, exactly(bridge)));
            here.sort_by_key(|(field, _)| *field);
            entering.push(self.offered_at(here, exposure));
        }
        let entering = self.or(&entering);
        let leaving = self.offered_by_address(id, exposure);
        let leaving = self.space.diagrams.except(leaving, bridge);
        let all = self.or(&[entering, leaving]);
        Does {
            all,
            surely: if exposure.limits.is_none() {
                all
            } else {
                leaving
            },
        }
    }

    /// Returns the networks of this host that a container is on.
    fn homes(&self, id: ContainerId) -> Vec<NetworkId> {
        let container = self.container(id);
        let local = self.local().into_iter().map(|(id, _)| id);
        local.filter(|network| container.is_on(*network)).collect()
    }

    /// Returns what happens to packets for the host itself.
    pub(in crate::meaning) fn arriving(&mut self, parts: &[Part<'p>]) -> Effects {
        let sockets = self.sockets();
        let shut = self.shut(&sockets);
        let care = self.decided_arriving();
        let care = self.space.diagrams.except(care, shut);
        let at_sockets: Vec<Node> = sockets.iter().map(|socket| socket.here).collect();
        let at_sockets = self.or(&at_sockets);
        let parts = parts
            .iter()
            .map(|part| self.arrives(*part, &sockets, at_sockets));
        let parts = parts.collect();
        let open = self.open_to_arrive(&sockets, at_sockets);
        let open = self.and(&[care, open]);
        Effects {
            care,
            open,
            settled: open,
            parts,
        }
    }

    fn decided_arriving(&mut self) -> Node {
        let none = self.interface(Field::Output, "");
        let free = [
            self.known(),
            self.false_sources(),
            self.interface(Field::Input, ""),
            self.interface(Field::Input, "lo"),
            self.discovery(),
        ];
        let free = self.or(&free);
        self.space.diagrams.except(none, free)
    }

    /// Published ports are closed to all but neighbours, others but to networks without `host-access`.
    fn open_to_arrive(&mut self, sockets: &[Socket<'p>], at_sockets: Node) -> Node {
        let mut open = Vec::new();
        let mut closed = vec![at_sockets];
        for (id, network) in self.local() {
            let here = self.input(id);
            if !network.host_access {
                closed.push(here);
            }
            let near = sockets.iter().filter(|it| self.is_neighbour(it, id));
            let near: Vec<Node> = near.map(|socket| socket.here).collect();
            let near = self.or(&near);
            open.push(self.and(&[here, near]));
        }
        let closed = self.or(&closed);
        open.push(self.not(closed));
        self.or(&open)
    }

    fn arrives(&mut self, part: Part<'p>, sockets: &[Socket<'p>], at_sockets: Node) -> Does {
        match part {
            Part::Access(access) => {
                let meant: Vec<Node> = sockets
                    .iter()
                    .map(|it| self.meant_here(access, it))
                    .collect();
                let meant = self.or(&meant);
                if access.effect == Effect::Deny {
                    return Does::surely(self.denies_arriving(access, meant));
                }
                let (named, left) = (self.named(access), self.left(access));
                let elsewhere = self.space.diagrams.except(named, at_sockets);
                let meant = self.and(&[meant, left]);
                Does::surely(self.or(&[elsewhere, meant]))
            }
            Part::Exposure(id, exposure) => self.offers_arriving(id, exposure),
        }
    }

    fn meant_here(&mut self, access: &Access, socket: &Socket<'p>) -> Node {
        match self.meant_at(access, socket) {
            Node::NO => Node::NO,
            ports => self.and(&[socket.here, ports]),
        }
    }

    fn denies_arriving(&mut self, access: &Access, meant: Node) -> Node {
        let mut all = Vec::new();
        let bridges = self.any_bridge(Field::Input);
        let elsewhere = self.not(bridges);
        let networks = self.local().into_iter().map(|(id, _)| Some(id));
        for network in networks.chain([None]) {
            let here = network.map_or(elsewhere, |id| self.input(id));
            let named = self.host_denied(access, network);
            let left = self.denied_left_of(access, network);
            let meant = self.and(&[meant, left]);
            let denied = self.or(&[named, meant]);
            all.push(self.and(&[here, denied]));
        }
        self.or(&all)
    }

    fn offers_arriving(&mut self, id: ContainerId, exposure: &'p Exposure) -> Does {
        let here = if self.homes(id).is_empty() {
            None
        } else {
            self.socket(id, exposure)
        };
        let from = self.offered(exposure);
        let all = here.map_or(Node::NO, |socket| self.and(&[from, socket.here]));
        Does {
            all,
            surely: if exposure.limits.is_none() {
                all
            } else {
                Node::NO
            },
        }
    }

    /// Returns what happens to the host's own packets. They are open anyway, and yet it is no waste to say
    /// that the host may connect: a published port has to say from whom.
    pub(in crate::meaning) fn sent(&mut self, parts: &[Part<'p>]) -> Effects {
        let care = self.decided_sent();
        let parts = parts.iter().map(|part| self.sends(*part));
        Effects {
            care,
            parts: parts.collect(),
            open: care,
            settled: Node::NO,
        }
    }

    fn decided_sent(&mut self) -> Node {
        let none = self.interface(Field::Input, "");
        let free = [
            self.known(),
            self.interface(Field::Output, ""),
            self.interface(Field::Output, "lo"),
            self.discovery(),
        ];
        let free = self.or(&free);
        self.space.diagrams.except(none, free)
    }

    fn sends(&mut self, part: Part<'p>) -> Does {
        match part {
            Part::Access(access) if access.effect == Effect::Deny => {
                Does::surely(self.denies_sent(access))
            }
            Part::Access(access) if access.left.contains(&Party::Host) => {
                Does::surely(self.named(access))
            }
            Part::Exposure(id, exposure) if exposure.from.contains(&Party::Host) => {
                let mut does = Does::surely(Node::NO);
                for home in self.homes(id) {
                    let end = self.end_of(id, home, exposure);
                    does.all = self.or(&[does.all, end.all]);
                    does.surely = self.or(&[does.surely, end.surely]);
                }
                does
            }
            _ => Does::surely(Node::NO),
        }
    }

    /// Where a container's addresses are not known, it may have any of its network's.
    fn end_of(&mut self, id: ContainerId, network: NetworkId, exposure: &Exposure) -> Does {
        let there = self.output(network);
        let known = self.at_address(id, network, exposure);
        let known = self.space.all_within(&known, Node::YES);
        let surely = self.and(&[there, known]);
        let any = self.service_at(exposure.protocol, exposure.ports);
        let all = if self.addresses(id, network).is_empty() {
            self.and(&[there, any])
        } else {
            surely
        };
        Does { all, surely }
    }

    fn denies_sent(&mut self, access: &Access) -> Node {
        let mut all = Vec::new();
        let bridges = self.any_bridge(Field::Output);
        let elsewhere = self.not(bridges);
        let networks = self.local().into_iter().map(|(id, _)| Some(id));
        for network in networks.chain([None]) {
            let there = network.map_or(elsewhere, |id| self.output(id));
            let denied = self.denied_to(access, network);
            all.push(self.and(&[there, denied]));
        }
        self.or(&all)
    }

    /// Returns the setting that opens a way to a packet.
    pub(in crate::meaning) fn opening_setting(&self, value: &dyn Fn(Field) -> u128) -> Setting {
        let (input, output) = (value(Field::Input), value(Field::Output));
        let mut local = self.local().into_iter();
        let by = |network: &Network| self.space.atom(&network.bridge.0);
        let Some((_, network)) = local.find(|(_, network)| by(network) == input) else {
            return Setting::Host;
        };
        let arrives = output == self.space.atom("");
        if by(network) == output || arrives && self.is_published(value) {
            Setting::Icc(network.span)
        } else if arrives {
            Setting::HostAccess(network.span)
        } else {
            Setting::Egress(network.span)
        }
    }

    fn is_published(&self, value: &dyn Fn(Field) -> u128) -> bool {
        let (protocol, port) = (value(Field::Protocol), value(Field::Port));
        let containers = self.policy.containers.iter();
        let mut exposures = containers.flat_map(|container| &container.exposures);
        exposures.any(|exposure| {
            let host = exposure.published.as_ref();
            let here = host.is_some_and(|it| {
                (u128::from(it.ports.first)..=u128::from(it.ports.last)).contains(&port)
            });
            here && number(exposure.protocol, self.family()) == protocol
        })
    }
}
