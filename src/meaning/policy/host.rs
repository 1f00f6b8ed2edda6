//! What becomes of packets to the host itself, and of its own.

use super::Says;
use super::forward::inner_ports;
use crate::diagram::Node;
use crate::meaning::space::{Field, bits, ports};
use crate::net::PortRange;
use crate::policy::ir::{
    Access, ContainerId, Effect, Exposure, NetworkId, Others, Owner, Party, Protocol, Published,
};

/// A published port as a socket of the host: the userland proxy's, where there is one.
pub(super) struct Socket<'p> {
    behind: Behind<'p>,
    exposure: &'p Exposure,
    published: &'p Published,
    /// Yes for packets to it.
    pub(super) here: Node,
}

/// Who answers at a socket in the end.
#[derive(Debug, Clone, Copy)]
enum Behind<'p> {
    Container(ContainerId),
    /// A container that no line names, by its networks.
    Unnamed(&'p [NetworkId]),
}

impl<'p> Says<'p> {
    /// Returns yes for packets to the host that the policy refuses, but for known connections.
    pub(in crate::meaning) fn refused_by_host(&mut self) -> Node {
        let sockets = self.sockets();
        let mut refused = self.refused_from(None, &sockets);
        for (id, _) in self.local() {
            let from_here = self.refused_from(Some(id), &sockets);
            let here = self.input(id);
            refused = self.space.diagrams.select(here, from_here, refused);
        }
        let shut = self.shut(&sockets);
        let refused = self.or(&[refused, shut]);
        let lo = self.interface(Field::Input, "lo");
        let discovery = self.discovery();
        let free = self.or(&[lo, discovery]);
        self.space.diagrams.except(refused, free)
    }

    /// Returns yes for published ports that are not the policy's to open: those that lead to another
    /// container than a line says to everybody, those of undeclared containers but to engine's networks.
    pub(super) fn shut(&mut self, sockets: &[Socket<'p>]) -> Node {
        let taken = self.taken();
        if self.policy.host.others == Others::Leave {
            return taken;
        }
        let undeclared = self.engine_ports(|owner| matches!(owner, Owner::Undeclared));
        let mut inside = vec![self.engines(Field::Input)];
        inside.extend(sockets.iter().map(|socket| socket.here));
        let inside = self.or(&inside);
        let undeclared = self.space.diagrams.except(undeclared, inside);
        self.or(&[taken, undeclared])
    }

    fn taken(&mut self) -> Node {
        self.engine_ports(|owner| matches!(owner, Owner::Taken(_)))
    }

    fn engine_ports(&mut self, owned: fn(&Owner) -> bool) -> Node {
        let ports = self.policy.undeclared.ports.iter();
        let ports = ports.filter(|port| owned(&port.owner));
        let here = ports.filter_map(|port| self.at_port(port.protocol, &port.published));
        let here: Vec<Node> = here.collect();
        self.or(&here)
    }

    /// Returns what is refused of a network's packets, or of those of no network of this host.
    fn refused_from(&mut self, network: Option<NetworkId>, sockets: &[Socket<'p>]) -> Node {
        let closed = network.filter(|id| !self.network(*id).host_access);
        let mut refused = Node::NO;
        if closed.is_some() {
            let allows: Vec<&Access> = self.accesses(Effect::Allow).collect();
            let open: Vec<Node> = allows.into_iter().map(|it| self.named(it)).collect();
            let open = self.or(&open);
            refused = self.not(open);
        }
        let mut at_sockets = Vec::with_capacity(sockets.len());
        let mut anywhere = Vec::with_capacity(sockets.len());
        for socket in sockets {
            let closed = self.refused_at(network, socket);
            at_sockets.push(self.and(&[socket.here, closed]));
            anywhere.push(socket.here);
        }
        let (at_sockets, anywhere) = (self.or(&at_sockets), self.or(&anywhere));
        let refused = self.space.diagrams.select(anywhere, at_sockets, refused);
        let denied = self.denied_by_host(network);
        self.or(&[denied, refused])
    }

    /// Denials that name the host.
    fn denied_by_host(&mut self, network: Option<NetworkId>) -> Node {
        let denials: Vec<&Access> = self.accesses(Effect::Deny).collect();
        let denials = denials.into_iter().map(|it| self.host_denied(it, network));
        let all: Vec<Node> = denials.collect();
        self.or(&all)
    }

    /// Returns yes for what one denial that names the host denies.
    pub(super) fn host_denied(&mut self, access: &Access, network: Option<NetworkId>) -> Node {
        let left = self.denied_left_of(access, network);
        let rights: Vec<Node> = access.right.iter().map(|it| self.target(*it)).collect();
        let (right, services) = (self.or(&rights), self.services(&access.services));
        self.and(&[services, right, left])
    }

    pub(super) fn denied_left_of(&mut self, access: &Access, network: Option<NetworkId>) -> Node {
        match network {
            Some(network) => self.denied_left(access, network),
            None => self.left(access),
        }
    }

    pub(super) fn sockets(&mut self) -> Vec<Socket<'p>> {
        let all = (0..).map(ContainerId).zip(&self.policy.containers);
        let mut found = Vec::new();
        for (id, container) in all {
            let mut networks = container.attachments.iter().map(|at| at.network);
            if !networks.any(|network| self.network(network).local) {
                continue;
            }
            for exposure in &container.exposures {
                found.extend(self.socket(id, exposure));
            }
        }
        self.add_unopened(&mut found);
        found
    }

    /// Adds published ports that no line opens. What is taken is nobody's, and each packet is of the first
    /// socket alone.
    fn add_unopened(&mut self, found: &mut Vec<Socket<'p>>) {
        if self.policy.undeclared.ports.is_empty() {
            return;
        }
        let taken = self.taken();
        for socket in &mut *found {
            socket.here = self.space.diagrams.except(socket.here, taken);
        }
        let mut before: Vec<Node> = found.iter().map(|socket| socket.here).collect();
        before.push(taken);
        let mut before = self.or(&before);
        for port in &self.policy.undeclared.ports {
            let (behind, exposure) = match &port.owner {
                Owner::Declared(id, exposure) => (Behind::Container(*id), exposure),
                Owner::Neighbour(homes, exposure) => (Behind::Unnamed(homes), exposure),
                Owner::Taken(_) | Owner::Undeclared => continue,
            };
            if let Some(mut socket) = self.socket_of(behind, exposure) {
                let here = self.space.diagrams.except(socket.here, before);
                before = self.or(&[before, here]);
                socket.here = here;
                found.push(socket);
            }
        }
    }

    /// Loopback addresses never come from elsewhere.
    pub(super) fn socket(
        &mut self,
        container: ContainerId,
        exposure: &'p Exposure,
    ) -> Option<Socket<'p>> {
        self.socket_of(Behind::Container(container), exposure)
    }

    fn socket_of(&mut self, behind: Behind<'p>, exposure: &'p Exposure) -> Option<Socket<'p>> {
        let published = exposure.published.as_ref()?;
        let here = self.at_port(exposure.protocol, published)?;
        Some(Socket {
            behind,
            exposure,
            published,
            here,
        })
    }

    fn at_port(&mut self, protocol: Protocol, published: &Published) -> Option<Node> {
        let port = self.service_at(protocol, published.ports);
        match published.address {
            None => Some(port),
            Some(address) if !self.family().has(address) || address.is_loopback() => None,
            Some(address) => {
                let address = self.space.is(Field::Destination, bits(address));
                Some(self.and(&[address, port]))
            }
        }
    }

    /// Returns yes for those who may not ask at a socket.
    fn refused_at(&mut self, network: Option<NetworkId>, socket: &Socket<'p>) -> Node {
        let exposure = socket.exposure;
        let neighbour = network.is_some_and(|id| self.is_neighbour(socket, id));
        let allowed = self.named_at(Effect::Allow, network, socket);
        let mut offered = self.offered(exposure);
        let offering = offered;
        if let (false, Behind::Container(id)) = (exposure.limits.is_none(), socket.behind) {
            let over = self.over(("filter", "limit"), id, exposure);
            offered = self.space.diagrams.except(offering, over);
        }
        let open = if neighbour {
            Node::YES
        } else {
            self.or(&[allowed, offered])
        };
        let denied = self.named_at(Effect::Deny, network, socket);
        let open = self.space.diagrams.except(open, denied);
        self.not(open)
    }

    /// Returns yes where statements about the container behind a socket name a packet to it.
    fn named_at(
        &mut self,
        effect: Effect,
        network: Option<NetworkId>,
        socket: &Socket<'p>,
    ) -> Node {
        let mut all = Vec::new();
        for access in self.accesses(effect) {
            let port = self.meant_at(access, socket);
            if port == Node::NO {
                continue;
            }
            let left = match effect {
                Effect::Allow => self.left(access),
                Effect::Deny => self.denied_left_of(access, network),
            };
            all.push(self.and(&[port, left]));
        }
        self.or(&all)
    }

    /// Returns yes for the ports of a socket that a statement about its container means.
    pub(super) fn meant_at(&mut self, access: &Access, socket: &Socket<'p>) -> Node {
        let mut rights = access.right.iter();
        if !rights.any(|right| self.covers(*right, socket.behind)) {
            return Node::NO;
        }
        let (inner, outer) = (socket.exposure.ports, socket.published.ports);
        let parts = inner_ports(&access.services, socket.exposure).into_iter();
        let outer: Vec<PortRange> = parts.map(|it| outer_ports(inner, outer, it)).collect();
        self.space.within(Field::Port, &ports(&outer))
    }

    /// Tells whether whoever is on a network is let to a socket by `icc on`.
    pub(super) fn is_neighbour(&self, socket: &Socket<'_>, network: NetworkId) -> bool {
        self.network(network).icc && self.is_behind(socket.behind, network)
    }

    /// Tells whether whoever is behind a socket is on a network.
    fn is_behind(&self, behind: Behind<'_>, network: NetworkId) -> bool {
        match behind {
            Behind::Container(id) => self.container(id).is_on(network),
            Behind::Unnamed(homes) => homes.contains(&network),
        }
    }

    /// Tells whether a right side means a container, whatever its address is.
    fn covers(&self, party: Party, behind: Behind<'_>) -> bool {
        match party {
            Party::Any => true,
            Party::Container(id) => matches!(behind, Behind::Container(own) if own == id),
            Party::Network(network) => self.is_behind(behind, network),
            Party::Host | Party::Outside | Party::Trust(_) => false,
        }
    }

    /// Returns yes for what the host's own processes may not send, but for known connections: only
    /// denials of the host itself count. What a translation led to a network seems to leave by where it
    /// would have gone; it is told by where it goes now.
    pub(in crate::meaning) fn refused_of_host(&mut self) -> Node {
        let mut refused = self.refused_to(None);
        let translated = self.translated();
        let mut ways = Vec::new();
        for (id, _) in self.local() {
            let subnets = self.subnets(id);
            let led = self.space.within(Field::Destination, &subnets);
            ways.push((id, self.and(&[translated, led])));
        }
        for (id, _) in self.local() {
            ways.push((id, self.output(id)));
        }
        for (id, here) in ways {
            let bridge = self.space.atom(&self.network(id).bridge.0);
            let output = self.space.level(Field::Output);
            let to_here = self.refused_to(Some(id));
            let to_here = self.space.diagrams.restrict(to_here, output, bridge);
            refused = self.space.diagrams.select(here, to_here, refused);
        }
        let lo = self.interface(Field::Output, "lo");
        let own = self.space.is(Field::DestinationType, 1);
        let led_away = self.space.diagrams.except(translated, own);
        let lo = self.space.diagrams.except(lo, led_away);
        let discovery = self.discovery();
        let free = self.or(&[lo, discovery]);
        self.space.diagrams.except(refused, free)
    }

    fn refused_to(&mut self, network: Option<NetworkId>) -> Node {
        let denials: Vec<&Access> = self.accesses(Effect::Deny).collect();
        let denials = denials.into_iter().map(|it| self.denied_to(it, network));
        let all: Vec<Node> = denials.collect();
        self.or(&all)
    }

    /// Returns yes for what one denial denies of it.
    pub(super) fn denied_to(&mut self, access: &Access, network: Option<NetworkId>) -> Node {
        let left = self.left(access);
        let right = if let Some(network) = network {
            self.denied_right(access, network)
        } else {
            let rights = access.right.iter();
            let rights: Vec<Node> = rights.map(|it| self.target(*it)).collect();
            self.or(&rights)
        };
        let services = self.services(&access.services);
        self.and(&[services, right, left])
    }
}

/// Returns the host's ports that stand for some of a container's.
fn outer_ports(inner: PortRange, outer: PortRange, part: PortRange) -> PortRange {
    let move_out = |port: u16| {
        let by = port.saturating_sub(inner.first);
        outer.first.saturating_add(by)
    };
    PortRange {
        first: move_out(part.first),
        last: move_out(part.last),
    }
}
