//! The policy's meaning, worked out from its statements and not by way of any rule.

use std::net::{IpAddr, Ipv6Addr};

use tidegate::netfilter::Packet;
use tidegate::policy::ir::{
    Access, Container, Effect, Engine, Exposure, ForwardPolicy, Network, NetworkId, Others, Owner,
    Party, Policy, Protocol, Published, Service,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Dropped,
    /// Passes and carries the grant.
    Granted,
    /// Passes without it: the engine's own rules decide.
    Left,
    /// Passes; both a published port and something else open it.
    Passes,
}

/// What the policy says of a new connection's packet that the host forwards.
pub fn forwarded(policy: &Policy, packet: &Packet) -> Fate {
    let (from, to) = (
        network_of(policy, &packet.input),
        network_of(policy, &packet.output),
    );
    if spoofed(policy, packet) {
        return Fate::Dropped;
    }
    match (from, to) {
        (None, None) => undeclared(policy, packet),
        (Some(from), None) => leaving(policy, packet, from),
        (from, Some(to)) => entering(policy, packet, from, to),
    }
}

/// Neither end is a declared network.
fn undeclared(policy: &Policy, packet: &Packet) -> Fate {
    let closed = match policy.host.others {
        Others::Closed(_) => {
            is_engines(policy, &packet.output) && !is_engines(policy, &packet.input)
        }
        Others::Drop(_) => true,
        Others::Leave => false,
    };
    if closed { Fate::Dropped } else { Fate::Left }
}

/// An engine's bridge is one that is known, or that is called so and that nobody says is another.
pub fn is_engines(policy: &Policy, interface: &str) -> bool {
    let undeclared = &policy.undeclared;
    if undeclared.bridges.iter().any(|it| it.0 == interface) {
        return true;
    }
    let uplink = policy.host.uplinks.iter().any(|it| it.0 == interface);
    let foreign = undeclared.foreign.iter().any(|it| it.0 == interface);
    let called = ["br-", "docker", "podman"]
        .iter()
        .any(|it| interface.starts_with(it));
    called && !uplink && !foreign
}

fn leaving(policy: &Policy, packet: &Packet, from: NetworkId) -> Fate {
    let named = |effect| {
        policy
            .accesses
            .iter()
            .any(|a| a.effect == effect && names(policy, a, packet, None))
    };
    if named(Effect::Deny) {
        return Fate::Dropped;
    }
    let v6_drop = packet.source.is_ipv6()
        && policy
            .host
            .forward
            .is_some_and(|(forward, _)| forward == ForwardPolicy::Drop);
    match (policy.networks[from.0].egress, named(Effect::Allow)) {
        (true, _) | (false, true) if no_engine(policy) => Fate::Granted,
        (true, _) if v6_drop => Fate::Granted,
        (true, _) | (false, true) => Fate::Left,
        (false, false) => Fate::Dropped,
    }
}

fn entering(policy: &Policy, packet: &Packet, from: Option<NetworkId>, to: NetworkId) -> Fate {
    if from == Some(to) && neighbour_discovery(packet) {
        return Fate::Granted;
    }
    if denied(policy, packet, to) {
        return Fate::Dropped;
    }
    let allowed = policy
        .accesses
        .iter()
        .any(|access| access.effect == Effect::Allow && names(policy, access, packet, Some(to)));
    let here = policy
        .containers
        .iter()
        .filter(|container| container.is_on(to));
    let (mut published, mut direct) = (false, allowed);
    for container in here {
        for exposure in usable(&container.exposures, packet) {
            let from = exposure
                .from
                .iter()
                .any(|party| source_is(policy, *party, packet));
            let is_own = || {
                container
                    .addresses_on(to)
                    .any(|it| it == packet.destination)
            };
            let behind = !is_given_away(policy, exposure) || is_own();
            published |= from && behind && asked_for(exposure, packet);
            direct |= from && exposure.published.is_none() && at(container, to, exposure, packet);
        }
    }
    match (published, direct) {
        _ if from == Some(to) && policy.networks[to.0].icc => Fate::Granted,
        (false, false) => Fate::Dropped,
        (false, true) => Fate::Granted,
        (true, _) if from.is_some() || no_engine(policy) => Fate::Granted,
        (true, false) => Fate::Left,
        (true, true) => Fate::Passes,
    }
}

/// What is over a limit opens nothing; the tests have sources over all limits or over none.
fn usable<'p>(
    exposures: &'p [Exposure],
    packet: &Packet,
) -> impl Iterator<Item = &'p Exposure> + use<'p> {
    let over = packet.over;
    let exposures = exposures.iter();
    exposures.filter(move |exposure| !over || exposure.limits.is_none())
}

fn neighbour_discovery(packet: &Packet) -> bool {
    packet.source.is_ipv6()
        && packet.protocol == Protocol::Icmp
        && matches!(packet.icmp_type, 135 | 136)
}

fn denied(policy: &Policy, packet: &Packet, to: NetworkId) -> bool {
    policy
        .accesses
        .iter()
        .filter(|access| access.effect == Effect::Deny)
        .any(|access| {
            names(policy, access, packet, Some(to))
                || names_port(policy, access, packet, to)
                || names_host(policy, access, packet)
        })
}

/// A statement that names a container names what is published for it, too.
fn names_port(policy: &Policy, access: &Access, packet: &Packet, to: NetworkId) -> bool {
    let left = comes_from(policy, access, packet);
    let right = access.right.iter().any(|party| {
        let Party::Container(id) = party else {
            return false;
        };
        let container = &policy.containers[id.0];
        container.is_on(to) && container.exposures.iter().any(|e| asked_for(e, packet))
    });
    left && right
        && service_is(
            &access.services,
            packet.protocol,
            packet.port,
            packet.icmp_type,
            packet.source,
        )
}

/// A statement that names the host names what asked for one of its ports, wherever that was led.
fn names_host(policy: &Policy, access: &Access, packet: &Packet) -> bool {
    let Some((_, port)) = packet.conn.translated_from else {
        return false;
    };
    let ports = access
        .services
        .iter()
        .filter(|it| !matches!(it, Service::Icmp(_)));
    let ports: Vec<Service> = ports.copied().collect();
    let any = access.services.is_empty();
    access.right.contains(&Party::Host)
        && comes_from(policy, access, packet)
        && (any || !ports.is_empty())
        && service_is(
            &ports,
            packet.protocol,
            port,
            packet.icmp_type,
            packet.source,
        )
}

/// What becomes of a packet that the host itself sends: it passes but for denials, which tell
/// containers by their own addresses, also where the host asked for a published port.
pub fn from_host(policy: &Policy, packet: &Packet) -> Fate {
    let discovery = packet.source.is_ipv6()
        && packet.protocol == Protocol::Icmp
        && (133..=136).contains(&packet.icmp_type);
    let led = packet.conn.translated_from.is_some();
    let holds = |network: &Network| {
        network
            .subnets
            .iter()
            .any(|net| net.contains(&packet.destination))
    };
    let led_to = || {
        policy
            .networks
            .iter()
            .position(holds)
            .filter(|_| led)
            .map(NetworkId)
    };
    let to = network_of(policy, &packet.output).or_else(led_to);
    let denies = |access: &&Access| {
        let host = |party: &Party| matches!(party, Party::Any | Party::Host);
        access.effect == Effect::Deny && access.left.iter().any(host)
    };
    let names = |access: &Access| {
        let target = |party: &Party| {
            let hidden = |to| may_receive(policy, *party, packet, to);
            target_is(policy, *party, packet, to) || to.is_some_and(hidden)
        };
        access.right.iter().any(target)
            && service_is(
                &access.services,
                packet.protocol,
                packet.port,
                packet.icmp_type,
                packet.source,
            )
    };
    if !discovery && policy.accesses.iter().filter(denies).any(names) {
        Fate::Dropped
    } else {
        Fate::Left
    }
}

fn names(policy: &Policy, access: &Access, packet: &Packet, to: Option<NetworkId>) -> bool {
    let reaches_all = |party| access.effect == Effect::Deny && may_be_target(policy, party, packet);
    comes_from(policy, access, packet)
        && access
            .right
            .iter()
            .any(|party| target_is(policy, *party, packet, to) || reaches_all(*party))
        && service_is(
            &access.services,
            packet.protocol,
            packet.port,
            packet.icmp_type,
            packet.source,
        )
}

fn comes_from(policy: &Policy, access: &Access, packet: &Packet) -> bool {
    let hidden = |party| access.effect == Effect::Deny && may_be_source(policy, party, packet);
    access
        .left
        .iter()
        .any(|party| source_is(policy, *party, packet) || hidden(*party))
}

/// Link-local addresses do not tell who of a bridge sends.
fn may_be_source(policy: &Policy, party: Party, packet: &Packet) -> bool {
    let stays = packet.output.is_empty() || packet.output == packet.input;
    let from = network_of(policy, &packet.input).filter(|_| stays);
    link_local(packet.source) && from.is_some_and(|network| lives_on(policy, party, network))
}

/// Nor who receives; and groups are received by all.
fn may_be_target(policy: &Policy, party: Party, packet: &Packet) -> bool {
    let Some(network) = network_of(policy, &packet.input) else {
        return false;
    };
    packet.output == packet.input && may_receive(policy, party, packet, network)
}

/// Somebody of a bridge receives it, and its address does not tell who.
fn may_receive(policy: &Policy, party: Party, packet: &Packet, network: NetworkId) -> bool {
    let subnets = &policy.networks[network.0].subnets;
    let everybody = match packet.destination {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(_) => false,
    } || subnets
        .iter()
        .any(|subnet| packet.destination.is_ipv4() && subnet.broadcast() == packet.destination);
    (everybody || packet.destination.is_multicast() || link_local(packet.destination))
        && lives_on(policy, party, network)
}

fn link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The party is one of a network's containers.
fn lives_on(policy: &Policy, party: Party, network: NetworkId) -> bool {
    match party {
        Party::Container(id) => policy.containers[id.0].is_on(network),
        Party::Any | Party::Host | Party::Network(_) | Party::Outside | Party::Trust(_) => false,
    }
}

fn source_is(policy: &Policy, party: Party, packet: &Packet) -> bool {
    let input = network_of(policy, &packet.input);
    match party {
        Party::Any => true,
        Party::Container(id) => {
            let container = &policy.containers[id.0];
            input.is_some_and(|network| container.addresses_on(network).any(|a| a == packet.source))
        }
        Party::Host => false,
        Party::Network(id) => input == Some(id),
        Party::Outside => input.is_none() && is_uplink(policy, &packet.input),
        Party::Trust(id) => input.is_none() && policy.trusts[id.0].set.contains(packet.source),
    }
}

fn target_is(policy: &Policy, party: Party, packet: &Packet, to: Option<NetworkId>) -> bool {
    match party {
        Party::Any => true,
        Party::Container(id) => {
            let container = &policy.containers[id.0];
            to.is_some_and(|to| container.addresses_on(to).any(|a| a == packet.destination))
        }
        Party::Host => false,
        Party::Network(id) => to == Some(id),
        Party::Outside => to.is_none() && is_uplink(policy, &packet.output),
        Party::Trust(id) => to.is_none() && policy.trusts[id.0].set.contains(packet.destination),
    }
}

fn service_is(services: &[Service], protocol: Protocol, port: u16, icmp: u8, peer: IpAddr) -> bool {
    let one = |service: &Service| match service {
        Service::Icmp(None) => protocol == Protocol::Icmp,
        Service::Icmp(Some(kind)) => {
            let number = if peer.is_ipv4() { kind.v4 } else { kind.v6 };
            protocol == Protocol::Icmp && number == Some(icmp)
        }
        Service::Ports(wanted, ports) => {
            *wanted == protocol && ports.is_none_or(|ports| ports.contains(port))
        }
    };
    services.is_empty() || services.iter().any(one)
}

/// The engine has given a port of an exposure to somebody else: the container's own address alone is opened.
fn is_given_away(policy: &Policy, exposure: &Exposure) -> bool {
    let Some(said) = &exposure.published else {
        return false;
    };
    let ports = policy.undeclared.ports.iter();
    let mut taken = ports.filter(|it| matches!(it.owner, Owner::Taken(_)));
    taken.any(|port| {
        let (now, wanted) = (port.published.ports, said.ports);
        let at = [said.address, port.published.address];
        let apart = at.iter().all(Option::is_some) && at[0] != at[1];
        port.protocol == exposure.protocol
            && !apart
            && now.first <= wanted.last
            && wanted.first <= now.last
    })
}

/// The packet's connection first went to the exposure's port of the host.
fn asked_for(exposure: &Exposure, packet: &Packet) -> bool {
    let (Some(published), Some((address, port))) =
        (&exposure.published, packet.conn.translated_from)
    else {
        return false;
    };
    published.ports.contains(port)
        && published.address.is_none_or(|wanted| wanted == address)
        && exposure.protocol == packet.protocol
        && exposure.ports.contains(packet.port)
}

fn at(container: &Container, network: NetworkId, exposure: &Exposure, packet: &Packet) -> bool {
    container
        .addresses_on(network)
        .any(|address| address == packet.destination)
        && exposure.protocol == packet.protocol
        && exposure.ports.contains(packet.port)
}

fn is_uplink(policy: &Policy, interface: &str) -> bool {
    let uplinks = &policy.host.uplinks;
    uplinks.is_empty() || uplinks.iter().any(|uplink| uplink.0 == interface)
}

pub fn network_of(policy: &Policy, interface: &str) -> Option<NetworkId> {
    policy
        .networks
        .iter()
        .position(|network| network.bridge.0 == interface)
        .map(NetworkId)
}

/// The packet claims an address that does not belong where it comes from, or goes to a loopback
/// address of the host from another machine.
pub fn spoofed(policy: &Policy, packet: &Packet) -> bool {
    let is_loopback = |address: IpAddr| address.is_ipv4() && address.is_loopback();
    let first = packet
        .conn
        .translated_from
        .map_or(packet.destination, |(address, _)| address);
    if packet.input == "lo" {
        return false;
    }
    is_loopback(first)
        || no_engine(policy) && is_loopback(packet.source)
        || policy
            .networks
            .iter()
            .filter(|network| network.antispoof)
            .any(|network| {
                let own = network
                    .subnets
                    .iter()
                    .any(|subnet| subnet.contains(&packet.source));
                let here = network.bridge.0 == packet.input;
                own != here && !(here && (link_local(packet.source) || unnumbered(packet)))
            })
}

/// Nobody but the rules of the policy decides, and each way needs their word.
pub fn no_engine(policy: &Policy) -> bool {
    matches!(policy.host.engine, Engine::None(_))
}

/// Returns where a connection to one of the host's own addresses is sent on to: the container behind
/// a published port, its port there and its network. Engines do this by themselves.
pub fn translated(policy: &Policy, packet: &Packet) -> Option<(IpAddr, u16, NetworkId)> {
    if !no_engine(policy) || packet.destination == IpAddr::V6(Ipv6Addr::LOCALHOST) {
        return None;
    }
    let (container, exposure) = listener(policy, packet)?;
    let outer = exposure.published.as_ref()?.ports;
    let ends = policy.containers[container].attachments.iter();
    let mut ends = ends.flat_map(|at| at.addresses.iter().map(|address| (at.network, *address)));
    let (network, address) =
        ends.find(|(_, address)| address.is_ipv6() == packet.destination.is_ipv6())?;
    let port = exposure.ports.first + (packet.port - outer.first);
    Some((address, port, network))
}

/// A connection that leaves a declared network for none carries the host's address, and so does one
/// back into the network by way of the host.
pub fn hides_source(policy: &Policy, packet: &Packet) -> bool {
    let has = |id: &NetworkId| {
        let mut subnets = policy.networks[id.0].subnets.iter();
        subnets.any(|subnet| subnet.contains(&packet.source))
    };
    let mut all = (0..policy.networks.len()).map(NetworkId);
    let elsewhere = network_of(policy, &packet.output).is_none();
    all.any(|id| has(&id)) && (elsewhere || packet.conn.translated_from.is_some())
}

/// A machine without an address looks for one: DHCP, duplicate address detection, its groups (MLD).
fn unnumbered(packet: &Packet) -> bool {
    let asked = packet.conn.translated_from;
    let (to, port) = asked.unwrap_or((packet.destination, packet.port));
    match (packet.source, to) {
        (IpAddr::V4(source), IpAddr::V4(to)) => {
            let dhcp = packet.protocol == Protocol::Udp && port == 67;
            source.is_unspecified() && to.is_broadcast() && dhcp
        }
        (IpAddr::V6(source), IpAddr::V6(to)) => {
            let [first, .., last, _] = to.segments();
            let solicited = to.segments()[1..6] == [0, 0, 0, 0, 1] && last >> 8 == 0xff;
            let icmp = packet.protocol == Protocol::Icmp;
            let meant = match packet.icmp_type {
                135 => solicited,
                131 | 132 | 143 => true,
                _ => false,
            };
            source.is_unspecified() && first == 0xff02 && icmp && meant
        }
        _ => false,
    }
}

/// What the policy says of a new connection's packet to one of the host's own sockets.
pub fn to_host(policy: &Policy, packet: &Packet) -> Fate {
    let from = network_of(policy, &packet.input);
    if packet.input == "lo" {
        return Fate::Left;
    }
    if spoofed(policy, packet) {
        return Fate::Dropped;
    }
    if router_discovery(packet) {
        return Fate::Left;
    }
    if says(policy, Effect::Deny, packet) {
        return Fate::Dropped;
    }
    let held = |wanted: fn(&Owner) -> bool| {
        let mut ports = policy.undeclared.ports.iter();
        ports.find(|port| {
            wanted(&port.owner)
                && port.protocol == packet.protocol
                && is_at(&port.published, packet)
        })
    };
    if held(|owner| matches!(owner, Owner::Taken(_))).is_some() {
        return Fate::Dropped;
    }
    let unopened = held(|owner| matches!(owner, Owner::Declared(..)));
    let unopened = unopened.and_then(|port| match &port.owner {
        Owner::Declared(id, exposure) => Some((id.0, exposure)),
        _ => None,
    });
    if let Some((container, exposure)) = listener(policy, packet).or(unopened) {
        let open = reaches_port(policy, packet, from, container, exposure);
        return if open { Fate::Left } else { Fate::Dropped };
    }
    let of_nobody = held(|owner| matches!(owner, Owner::Undeclared)).is_some();
    let outside = from.is_none() && !is_engines(policy, &packet.input);
    if of_nobody && outside && policy.host.others != Others::Leave {
        return Fate::Dropped;
    }
    let closed = from.is_some_and(|from| !policy.networks[from.0].host_access);
    if closed && !says(policy, Effect::Allow, packet) {
        return Fate::Dropped;
    }
    Fate::Left
}

fn router_discovery(packet: &Packet) -> bool {
    packet.source.is_ipv6()
        && packet.protocol == Protocol::Icmp
        && (133..=136).contains(&packet.icmp_type)
}

/// A statement about the host itself names the packet.
fn says(policy: &Policy, effect: Effect, packet: &Packet) -> bool {
    policy
        .accesses
        .iter()
        .filter(|access| access.effect == effect)
        .any(|access| {
            let right = access.right.iter().any(|party| match party {
                Party::Any | Party::Host => true,
                Party::Container(_) | Party::Network(_) | Party::Outside | Party::Trust(_) => false,
            });
            right
                && comes_from(policy, access, packet)
                && service_is(
                    &access.services,
                    packet.protocol,
                    packet.port,
                    packet.icmp_type,
                    packet.source,
                )
        })
}

fn listener<'p>(policy: &'p Policy, packet: &Packet) -> Option<(usize, &'p Exposure)> {
    let all = policy.containers.iter().enumerate();
    let mut all = all.flat_map(|(id, c)| c.exposures.iter().map(move |e| (id, e)));
    all.find(|(_, exposure)| {
        exposure.protocol == packet.protocol
            && exposure
                .published
                .as_ref()
                .is_some_and(|published| is_at(published, packet))
    })
}

fn is_at(published: &Published, packet: &Packet) -> bool {
    let address = published.address;
    published.ports.contains(packet.port) && address.is_none_or(|it| it == packet.destination)
}

fn reaches_port(
    policy: &Policy,
    packet: &Packet,
    from: Option<NetworkId>,
    container: usize,
    exposure: &Exposure,
) -> bool {
    let published = exposure
        .published
        .as_ref()
        .expect("a listener is published");
    let port = exposure.ports.first + (packet.port - published.ports.first);
    let behind = &policy.containers[container];
    let counts = |effect| {
        policy
            .accesses
            .iter()
            .filter(move |access| access.effect == effect)
            .any(|access| {
                let right = access.right.iter().any(|party| match party {
                    Party::Any => true,
                    Party::Container(id) => id.0 == container,
                    Party::Network(id) => behind.is_on(*id),
                    Party::Host | Party::Outside | Party::Trust(_) => false,
                });
                right
                    && comes_from(policy, access, packet)
                    && service_is(&access.services, packet.protocol, port, 0, packet.source)
            })
    };
    let neighbour = from.is_some_and(|from| policy.networks[from.0].icc && behind.is_on(from));
    !counts(Effect::Deny)
        && (neighbour
            || counts(Effect::Allow)
            || usable(std::slice::from_ref(exposure), packet)
                .flat_map(|exposure| &exposure.from)
                .any(|party| source_is(policy, *party, packet)))
}
