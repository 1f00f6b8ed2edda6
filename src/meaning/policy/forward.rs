//! What becomes of a packet that the host forwards.

use super::Says;
use super::limits::Limited;
use super::parties::number;
use crate::diagram::Node;
use crate::meaning::space::{Field, bits, ports};
use crate::net::{Family, IntervalSet, PortRange};
use crate::policy::ir::{
    Access, ContainerId, Effect, Exposure, ForwardPolicy, NetworkId, Others, Party, Service,
};

/// What the policy says of all forwarded packets; each is a condition, and no two hold at once.
#[derive(Debug, Clone, Copy)]
pub(in crate::meaning) struct Forward {
    pub drop: Node,
    /// Passes, and the engine's own rules decide.
    pub left: Node,
    /// Passes against the engine's own rules, and so do its replies.
    pub granted: Node,
    /// Passes like that, and nothing is kept of it.
    pub passing: Node,
    /// Passes, with the grant or without it: a published port and something else both open it.
    pub either: Node,
}

impl Forward {
    const NOTHING: Forward = Forward {
        drop: Node::NO,
        left: Node::NO,
        granted: Node::NO,
        passing: Node::NO,
        either: Node::NO,
    };

    fn dropped() -> Self {
        Forward {
            drop: Node::YES,
            ..Forward::NOTHING
        }
    }

    fn left() -> Self {
        Forward {
            left: Node::YES,
            ..Forward::NOTHING
        }
    }

    fn granted() -> Self {
        Forward {
            granted: Node::YES,
            ..Forward::NOTHING
        }
    }

    fn parts(&mut self) -> [&mut Node; 5] {
        [
            &mut self.drop,
            &mut self.left,
            &mut self.granted,
            &mut self.passing,
            &mut self.either,
        ]
    }
}

/// What fields must be, in their order, each once.
pub(super) type Sets = Vec<(Field, IntervalSet)>;

impl Says<'_> {
    /// Returns what the policy says of a packet that belongs to no known connection.
    pub(in crate::meaning) fn forward(&mut self) -> Forward {
        let mut says = self.elsewhere();
        let named = self.named_afar();
        for (id, _) in self.local() {
            let leaving = self.leaving(id, named);
            let here = self.input(id);
            says = self.select(here, leaving, says);
        }
        for (id, _) in self.local() {
            let entering = self.entering(id);
            let here = self.output(id);
            says = self.select(here, entering, says);
        }
        says
    }

    fn select(&mut self, condition: Node, mut then: Forward, mut otherwise: Forward) -> Forward {
        let mut made = Forward::NOTHING;
        let pairs = then.parts().into_iter().zip(otherwise.parts());
        for (made, (then, otherwise)) in made.parts().into_iter().zip(pairs) {
            *made = self.space.diagrams.select(condition, *then, *otherwise);
        }
        made
    }

    /// Neither end is a declared network of this host.
    fn elsewhere(&mut self) -> Forward {
        match self.policy.host.others {
            Others::Drop(_) => Forward::dropped(),
            Others::Leave => self.unclosed(),
            Others::Closed(_) => {
                let (from, into) = (self.engines(Field::Input), self.engines(Field::Output));
                let closed = self.space.diagrams.except(into, from);
                let unclosed = self.unclosed();
                self.select(closed, Forward::dropped(), unclosed)
            }
        }
    }

    /// The engine decides; where it has no word of its own about IPv6, whatever comes from its networks passes.
    fn unclosed(&mut self) -> Forward {
        if !(self.unhelped() && self.policy.undeclared.leaves_ipv6) {
            return Forward::left();
        }
        let from = self.engines(Field::Input);
        self.select(from, Forward::granted(), Forward::left())
    }

    /// Returns what statements deny, and open, of what leaves a network of this host, whichever it is.
    fn named_afar(&mut self) -> [Node; 2] {
        let denied: Vec<Node> = self
            .accesses(Effect::Deny)
            .map(|it| self.named(it))
            .collect();
        let mut opened: Vec<Node> = self
            .accesses(Effect::Allow)
            .map(|it| self.named(it))
            .collect();
        opened.extend(self.offered_afar());
        [self.or(&denied), self.or(&opened)]
    }

    /// Out of a network, to what this host does not declare.
    fn leaving(&mut self, network: NetworkId, [denied, opened]: [Node; 2]) -> Forward {
        let passing = if !self.engine().accepts() || self.network(network).egress && self.unhelped()
        {
            Forward::granted()
        } else {
            Forward::left()
        };
        let open = if self.network(network).egress {
            Node::YES
        } else {
            opened
        };
        let says = self.select(open, passing, Forward::dropped());
        self.select(denied, Forward::dropped(), says)
    }

    /// Engines that leave ip6tables alone have no rule that lets IPv6 out past a FORWARD policy of
    /// DROP.
    fn unhelped(&self) -> bool {
        let forward = self.policy.host.forward.map(|(policy, _)| policy);
        self.family() == Family::V6 && forward == Some(ForwardPolicy::Drop)
    }

    /// What containers of other hosts offer over their own addresses is open on this side, too.
    fn offered_afar(&mut self) -> Vec<Node> {
        let far = self.far();
        let afar = self.space.within(Field::Destination, &far);
        let mut offers = Vec::new();
        for (id, container) in (0..).map(ContainerId).zip(&self.policy.containers) {
            for exposure in &container.exposures {
                let offer = self.offered_by_address(id, exposure);
                offers.push(self.and(&[afar, offer]));
            }
        }
        offers
    }

    /// Returns yes for packets to a container's own addresses that an exposure offers there.
    pub(super) fn offered_by_address(&mut self, id: ContainerId, exposure: &Exposure) -> Node {
        if exposure.published.is_some() {
            return Node::NO;
        }
        let from = self.offered(exposure);
        if from == Node::NO {
            return Node::NO;
        }
        let target = self.target(Party::Container(id));
        let service = self.service_at(exposure.protocol, exposure.ports);
        self.and(&[service, target, from])
    }

    /// Into a network of this host.
    fn entering(&mut self, network: NetworkId) -> Forward {
        let opened = self.opened(network);
        let outside = self.entered(&opened, self.engine().accepts());
        let inside = self.entered(&opened, false);
        let bridge = self.any_bridge(Field::Input);
        let says = self.select(bridge, inside, outside);
        let denied = self.denied(network);
        let says = self.select(denied, Forward::dropped(), says);
        let within = self.within(network, inside);
        let here = self.input(network);
        self.select(here, within, says)
    }

    /// Between containers of one bridge.
    fn within(&mut self, network: NetworkId, opened: Forward) -> Forward {
        let says = if self.network(network).icc {
            Forward::granted()
        } else {
            opened
        };
        let denied = self.denied_within(network);
        let says = self.select(denied, Forward::dropped(), says);
        let neighbours = self.neighbours();
        let passing = Forward {
            passing: Node::YES,
            ..Forward::NOTHING
        };
        self.select(neighbours, passing, says)
    }

    /// Returns yes for the messages by which neighbours find each other: no statement is about them.
    pub(super) fn neighbours(&mut self) -> Node {
        match self.family() {
            Family::V4 => Node::NO,
            Family::V6 => self.icmp(&[135, 136]),
        }
    }

    /// Joins what opens a way: where `left`, published ports are left to the engine.
    fn entered(&mut self, opened: &Opened, left: bool) -> Forward {
        let mut says = Forward::dropped();
        for limited in opened.limited.iter().rev() {
            let (over, passing) = match limited.over_left.filter(|_| left) {
                Some(over) => (over, Forward::left()),
                None => (limited.over_granted, Forward::granted()),
            };
            let inner = self.select(over, Forward::dropped(), passing);
            says = self.select(limited.opens, inner, says);
        }
        let published = if left {
            Forward::left()
        } else {
            Forward::granted()
        };
        says = self.select(opened.published, published, says);
        says = self.select(opened.direct, Forward::granted(), says);
        if left {
            let both = self.and(&[opened.published, opened.direct]);
            let either = Forward {
                either: Node::YES,
                ..Forward::NOTHING
            };
            says = self.select(both, either, says);
        }
        says
    }

    fn opened(&mut self, network: NetworkId) -> Opened {
        let allows: Vec<&Access> = self.accesses(Effect::Allow).collect();
        let mut direct: Vec<Node> = allows.into_iter().map(|it| self.named(it)).collect();
        let (mut published, mut limited) = (Vec::new(), Vec::new());
        for (id, exposure) in self.exposures_on(network) {
            let is_published = exposure.published.is_some();
            let here = self.opening_of(id, network, exposure);
            let opens = self.offered_at(here, exposure);
            if !exposure.limits.is_none() {
                let over_granted = self.over(("mangle", "grant"), id, exposure);
                let left = is_published && self.engine().accepts();
                limited.push(Limited {
                    opens,
                    over_left: left.then(|| self.over(("mangle", "limit"), id, exposure)),
                    over_granted,
                });
            } else if is_published {
                published.push(opens);
            } else {
                direct.push(opens);
            }
        }
        Opened {
            direct: self.or(&direct),
            published: self.or(&published),
            limited,
        }
    }

    /// Returns yes where a packet comes from somebody to whom an exposure is offered.
    pub(super) fn offered(&mut self, exposure: &Exposure) -> Node {
        let from: Vec<Node> = exposure.from.iter().map(|it| self.source(*it)).collect();
        self.or(&from)
    }

    /// Returns yes for packets to somewhere that come from somebody to whom an exposure is offered.
    pub(super) fn offered_at(&mut self, mut here: Sets, exposure: &Exposure) -> Node {
        if let [only] = *exposure.from
            && let Some((input, rest)) = self.sender(only)
        {
            if rest == Node::NO {
                return Node::NO;
            }
            here.push((Field::Input, input));
            here.sort_by_key(|(field, _)| *field);
            return self.space.all_within(&here, rest);
        }
        let from = self.offered(exposure);
        let here = self.space.all_within(&here, Node::YES);
        self.and(&[here, from])
    }

    /// Returns what packets to an exposure say, whoever sends them.
    pub(super) fn opening_of(
        &mut self,
        id: ContainerId,
        network: NetworkId,
        exposure: &Exposure,
    ) -> Sets {
        if exposure.published.is_some() {
            let mut behind = self.behind_ports(exposure, exposure.ports);
            if self.policy.is_contested(exposure) {
                behind.push((Field::Destination, self.addresses(id, network)));
                behind.sort_by_key(|(field, _)| *field);
            }
            behind
        } else {
            self.at_address(id, network, exposure)
        }
    }

    pub(super) fn at_address(
        &mut self,
        id: ContainerId,
        network: NetworkId,
        exposure: &Exposure,
    ) -> Sets {
        let protocol = number(exposure.protocol, self.family());
        vec![
            (Field::Protocol, exactly(protocol)),
            (Field::Destination, self.addresses(id, network)),
            (Field::Port, ports(&[exposure.ports])),
        ]
    }

    /// Returns what packets say whose connection asked for the host's port of an exposure, and was led to
    /// one of some of its container's.
    fn behind_ports(&mut self, exposure: &Exposure, inner: PortRange) -> Sets {
        let nobody = vec![(Field::State, IntervalSet::default())];
        let Some(published) = &exposure.published else {
            return nobody;
        };
        let family = self.family();
        let mut sets = vec![
            (Field::State, range(0, 2)),
            (Field::Protocol, exactly(number(exposure.protocol, family))),
            (Field::Port, ports(&[inner])),
            (Field::Translated, range(2, 3)),
            (Field::Original, exactly(1)),
        ];
        if let Some(address) = published.address {
            if !family.has(address) {
                return nobody;
            }
            sets.push((Field::AskedDestination, exactly(bits(address))));
        }
        sets.push((Field::AskedPort, ports(&[published.ports])));
        sets
    }

    /// Returns yes where a packet's connection has another destination than it asked for.
    pub(super) fn translated(&mut self) -> Node {
        let tracked = IntervalSet::from_ranges(vec![(0, 2)]);
        let tracked = self.space.within(Field::State, &tracked);
        let changed = IntervalSet::from_ranges(vec![(2, 3)]);
        let changed = self.space.within(Field::Translated, &changed);
        self.and(&[tracked, changed])
    }

    /// Denials of what enters a network from elsewhere.
    fn denied(&mut self, network: NetworkId) -> Node {
        let denials: Vec<&Access> = self.accesses(Effect::Deny).collect();
        let denials = denials.into_iter().map(|it| self.denied_by(it, network));
        let all: Vec<Node> = denials.collect();
        self.or(&all)
    }

    /// Returns yes for what one denial denies of it.
    pub(super) fn denied_by(&mut self, access: &Access, network: NetworkId) -> Node {
        let (named, left) = (self.named(access), self.left(access));
        let ports = self.denied_ports(access, left, network);
        let of_host = self.denied_at_host(access, left);
        self.or(&[named, ports, of_host])
    }

    fn denied_within(&mut self, network: NetworkId) -> Node {
        let denials: Vec<&Access> = self.accesses(Effect::Deny).collect();
        let denials = denials
            .into_iter()
            .map(|it| self.denied_within_by(it, network));
        let all: Vec<Node> = denials.collect();
        self.or(&all)
    }

    /// Returns yes for what one denial denies between containers of one bridge.
    pub(super) fn denied_within_by(&mut self, access: &Access, network: NetworkId) -> Node {
        let left = self.denied_left(access, network);
        let right = self.denied_right(access, network);
        let services = self.services(&access.services);
        let named = self.and(&[services, right, left]);
        let ports = self.denied_ports(access, left, network);
        let of_host = self.denied_at_host(access, left);
        self.or(&[named, ports, of_host])
    }

    /// A denial of the host is about all that asked for it, whatever a translation made of it since.
    fn denied_at_host(&mut self, access: &Access, left: Node) -> Node {
        if !access.right.contains(&Party::Host) {
            return Node::NO;
        }
        let asked = if access.services.is_empty() {
            Node::YES
        } else {
            let services = access.services.iter();
            let all: Vec<Node> = services.map(|it| self.asked_service(*it)).collect();
            self.or(&all)
        };
        let translated = self.translated();
        self.and(&[translated, asked, left])
    }

    /// Returns yes for connections whose service was one when they were made.
    fn asked_service(&mut self, service: Service) -> Node {
        let Service::Ports(protocol, range) = service else {
            return Node::NO;
        };
        let mut sets = vec![(Field::Protocol, exactly(number(protocol, self.family())))];
        if let Some(asked) = range {
            sets.push((Field::Original, exactly(1)));
            sets.push((Field::AskedPort, ports(&[asked])));
        }
        self.space.all_within(&sets, Node::YES)
    }

    /// A statement that names a container names what is published for it, whatever its address is by
    /// now.
    fn denied_ports(&mut self, access: &Access, left: Node, network: NetworkId) -> Node {
        let mut all = Vec::new();
        for party in &access.right {
            let Party::Container(id) = party else {
                continue;
            };
            let container = self.container(*id);
            if !container.is_on(network) {
                continue;
            }
            for exposure in &container.exposures {
                for range in inner_ports(&access.services, exposure) {
                    let behind = self.behind_ports(exposure, range);
                    all.push(self.space.all_within(&behind, Node::YES));
                }
            }
        }
        let ports = self.or(&all);
        self.and(&[ports, left])
    }
}

/// Everything that opens a way into a network.
struct Opened {
    /// Over containers' own addresses, without limits.
    direct: Node,
    /// By ports of the host, without limits.
    published: Node,
    /// The first that opens a way decides about it.
    limited: Vec<Limited>,
}

fn range(first: u128, last: u128) -> IntervalSet {
    IntervalSet::from_ranges(vec![(first, last)])
}

pub(super) fn exactly(value: u128) -> IntervalSet {
    range(value, value)
}

/// Returns the ports of an exposure that services name.
pub(super) fn inner_ports(services: &[Service], exposure: &Exposure) -> Vec<PortRange> {
    if services.is_empty() {
        return vec![exposure.ports];
    }
    let part = |service: &Service| match *service {
        Service::Ports(protocol, range) if protocol == exposure.protocol => match range {
            None => Some(exposure.ports),
            Some(range) => range.intersection(exposure.ports),
        },
        _ => None,
    };
    services.iter().filter_map(part).collect()
}
