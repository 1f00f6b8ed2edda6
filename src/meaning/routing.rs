//! What a machine's addresses and routes say of every packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::outcome::Verdict;
use super::space::{Field, Space, bits, prefixes};
use crate::diagram::Node;
use crate::net::{Family, IntervalSet};
use crate::netfilter::trace::{LOOPBACK_BROADCAST, Machine};

#[derive(Debug)]
pub(super) struct Routing {
    loopback: IntervalSet,
    local: IntervalSet,
    /// Those of any router on a subnet of the host's, RFC 4291 section 2.6.1; a host that forwards takes
    /// them for its own.
    any_routers: IntervalSet,
    broadcast: IntervalSet,
    multicast: IntervalSet,
    /// Destinations by the interface that leads there.
    routes: Vec<(String, IntervalSet)>,
    /// Interfaces with their first addresses.
    firsts: Vec<(String, Option<IpAddr>)>,
}

impl Routing {
    pub(super) fn new(space: &Space, machine: &Machine) -> Self {
        let nets = machine.interfaces.iter().flat_map(|link| &link.addresses);
        let own: Vec<IpNet> = nets.clone().map(|net| IpNet::from(net.addr())).collect();
        let loopback = prefixes([&loopback(space.family)]);
        let last = prefixes([&IpNet::from(LOOPBACK_BROADCAST)]);
        let last = last.intersection(&loopback);
        let local = prefixes(&own).union(&loopback).difference(&last);
        let subnet = |net: &&IpNet| net.addr().is_ipv6() && net.prefix_len() < 127;
        let routers = nets.clone().filter(subnet).map(IpNet::network);
        let any_routers = prefixes(&routers.map(IpNet::from).collect::<Vec<_>>());
        let broadcast = match space.family {
            Family::V4 => {
                let short = nets.filter(|net| net.prefix_len() < 31);
                let all = short
                    .map(IpNet::broadcast)
                    .chain([Ipv4Addr::BROADCAST.into(), LOOPBACK_BROADCAST]);
                prefixes(&all.map(IpNet::from).collect::<Vec<_>>())
            }
            Family::V6 => IntervalSet::default(),
        };
        let first = |link: &crate::netfilter::trace::Link| {
            let address = link.addresses.first().map(IpNet::addr);
            (link.name.clone(), address)
        };
        Routing {
            multicast: prefixes([&multicast(space.family)]),
            routes: routes(space, machine),
            firsts: machine.interfaces.iter().map(first).collect(),
            any_routers,
            loopback,
            local,
            broadcast,
        }
    }

    pub(super) fn routes(&self) -> &[(String, IntervalSet)] {
        &self.routes
    }

    /// Returns the routes of the host's own packets, each destination once: those to itself first.
    pub(super) fn own_routes(&self) -> Vec<(String, IntervalSet)> {
        let back = self.local.union(&self.any_routers).union(&self.loopback);
        let others = self.routes.iter();
        let others = others.map(|(name, set)| (name.clone(), set.difference(&back)));
        let mut all = vec![("lo".to_owned(), back.clone())];
        all.extend(others.filter(|(_, set)| !set.is_empty()));
        all
    }

    /// Returns yes for destinations to which the host's own packets find a route.
    pub(super) fn own_reach(&self, space: &mut Space) -> Node {
        let sets = self.own_routes().into_iter().map(|(_, set)| set);
        let all = sets.fold(IntervalSet::default(), |all, set| all.union(&set));
        space.within(Field::Destination, &all)
    }

    /// Returns yes for packets that the host keeps.
    pub(super) fn for_the_host(&self, space: &mut Space) -> Node {
        let own = self.local.union(&self.any_routers);
        let kept = own.union(&self.broadcast).union(&self.multicast);
        space.within(Field::Destination, &kept)
    }

    /// Returns yes for addresses of loopback that come from elsewhere; `ip_route_input_slow` of the
    /// kernel drops them where `route_localnet` is off, as it is unless somebody asked for it. And so
    /// `fib_validate_source` does with the host's own where `accept_local` is off.
    pub(super) fn foreign(&self, space: &mut Space) -> Node {
        let own = match space.family {
            Family::V4 => self.local.union(&self.loopback),
            Family::V6 => self.loopback.clone(),
        };
        let source = space.within(Field::Source, &own);
        let destination = space.within(Field::Destination, &self.loopback);
        let either = space.diagrams.or_else(source, destination);
        let lo = space.atom("lo");
        let lo = space.is(Field::Input, lo);
        space.diagrams.except(either, lo)
    }

    /// Lets addresses tell their types.
    pub(super) fn typed(&self, space: &mut Space, node: Node) -> Node {
        let node = self.typed_by(space, node, Field::SourceType, Field::Source);
        self.typed_by(space, node, Field::DestinationType, Field::Destination)
    }

    fn typed_by(&self, space: &mut Space, node: Node, kind: Field, address: Field) -> Node {
        let level = space.level(kind);
        let of = [0u128, 1, 2, 3].map(|value| space.diagrams.restrict(node, level, value));
        let [unicast, local, broadcast, multicast] = of;
        if of.iter().all(|it| *it == node) {
            return node;
        }
        let sets = [
            (&self.local, local),
            (&self.broadcast, broadcast),
            (&self.multicast, multicast),
        ];
        sets.into_iter().rev().fold(unicast, |others, (set, node)| {
            let here = space.within(address, set);
            space.diagrams.select(here, node, others)
        })
    }

    /// Returns a function as it sees the host's packets to itself behind a rule that translates their
    /// source.
    pub(super) fn seen_masked(&self, space: &mut Space, rule: &Verdict, node: Node) -> Node {
        match rule {
            Verdict::Snat(to) => match to.addresses {
                Some((first, _)) => from(space, node, bits(first)),
                None => node,
            },
            // `ipv6_dev_get_saddr` of the kernel likes the destination itself best.
            _ if space.family == Family::V6 => self.seen_as_itself(space, node),
            _ => match self.masquerades() {
                Some(address) => from(space, node, bits(address)),
                None => node,
            },
        }
    }

    /// Loopback has no address that others could answer to, so the first of any other interface is
    /// taken; `inet_select_addr` of the kernel.
    fn masquerades(&self) -> Option<IpAddr> {
        let mut all = self.firsts.iter().filter_map(|(_, address)| *address);
        all.find(|address| !address.is_loopback())
    }

    fn seen_as_itself(&self, space: &mut Space, node: Node) -> Node {
        let mut ways = Vec::new();
        let own = self.local.union(&self.any_routers);
        for address in own.ranges().iter().flat_map(|it| it.0..=it.1) {
            let here = space.is(Field::Destination, address);
            let way = from(space, node, address);
            ways.push(space.diagrams.guard(here, way));
        }
        ways.push(node);
        space.diagrams.first_of(&ways)
    }

    /// Returns where REDIRECT leads by the interface that a packet came by: nowhere by one without an
    /// address. One that nobody told us of may have any; the packet then keeps its destination.
    pub(super) fn redirects(
        &self,
        family: Family,
        own: bool,
    ) -> Vec<(Option<String>, Option<IpAddr>)> {
        if own {
            let itself: IpAddr = match family {
                Family::V4 => Ipv4Addr::LOCALHOST.into(),
                Family::V6 => Ipv6Addr::LOCALHOST.into(),
            };
            return vec![(None, Some(itself))];
        }
        let firsts = self.firsts.iter();
        let mut all: Vec<_> = firsts
            .map(|(name, address)| (Some(name.clone()), *address))
            .collect();
        all.push((None, None));
        all
    }
}

/// Returns a function as it sees packets with another source. One that they have anyway is none.
fn from(space: &mut Space, node: Node, address: u128) -> Node {
    let (source, translated) = (space.level(Field::Source), space.level(Field::Translated));
    let moved = space.diagrams.restrict(node, source, address);
    let [alone, both] = [1, 3].map(|value| space.diagrams.restrict(moved, translated, value));
    let nothing = IntervalSet::from_ranges(vec![(0, 1)]);
    let nothing = space.within(Field::Translated, &nothing);
    let moved = space.diagrams.select(nothing, alone, both);
    let same = space.is(Field::Source, address);
    space.diagrams.select(same, node, moved)
}

fn loopback(family: Family) -> IpNet {
    match family {
        Family::V4 => Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).into(),
        Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST).into(),
    }
}

fn multicast(family: Family) -> IpNet {
    match family {
        Family::V4 => Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4).into(),
        Family::V6 => Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8).into(),
    }
}

/// Returns every destination once, by the interface of its longest prefix; of equal ones the last.
fn routes(space: &Space, machine: &Machine) -> Vec<(String, IntervalSet)> {
    let mut all = machine.all_routes();
    all.retain(|(net, _)| space.family.has(net.addr()));
    all.reverse();
    all.sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
    let mut taken = IntervalSet::default();
    let mut found: Vec<(String, Vec<(u128, u128)>)> = Vec::new();
    for (net, name) in all {
        let whole = IntervalSet::from_ranges(vec![(bits(net.network()), bits(net.broadcast()))]);
        let free = whole.difference(&taken);
        match found.iter_mut().find(|(known, _)| known == name) {
            Some((_, ranges)) => ranges.extend_from_slice(free.ranges()),
            None => found.push((name.to_owned(), free.ranges().to_vec())),
        }
        taken = taken.union(&whole);
    }
    let set = |(name, ranges)| (name, IntervalSet::from_ranges(ranges));
    found.into_iter().map(set).collect()
}
