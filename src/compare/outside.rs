//! Whether somebody outside comes to a published port, as the rules in force say.

use std::net::IpAddr;

use super::World;
use ipnet::IpNet;

use crate::facts::PublishedPort;
use crate::net::Family;
use crate::netfilter::dump::States;
use crate::netfilter::trace::{End, MAX_ENDS, Machine, Probe, Trace, traces};
use crate::policy::ir::{Policy, Protocol};

/// What becomes of a new connection from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    Open,
    Closed,
    /// Why it cannot be told.
    Unknown(String),
    /// There is nothing that anybody outside could come to.
    Nobody,
}

/// Addresses of strangers, of which one is used that no trust set has: for documentation (RFC 5737, RFC
/// 3849), for measurements (RFC 2544), and of everybody else.
const STRANGERS: [&str; 8] = [
    "198.51.100.77",
    "203.0.113.77",
    "198.18.0.77",
    "11.22.33.44",
    "2001:db8:ffff::77",
    "2001:2:0:77::77",
    "2600:77::77",
    "fd77:77::77",
];

/// Returns what becomes of connections to a port from every side that is outside, in both families; with
/// sources that a function gives for a family, of which nobody else has the rights.
pub(super) fn reach(
    world: World<'_>,
    port: &PublishedPort,
    machines: Result<&[Machine], &str>,
    sources: &dyn Fn(Family) -> Vec<IpAddr>,
) -> Reach {
    if port.address.is_some_and(|address| address.is_loopback()) {
        return Reach::Nobody;
    }
    let machines = match machines {
        Ok(machines) => machines,
        Err(why) => return Reach::Unknown(format!("the rules in force cannot be followed: {why}")),
    };
    let families = machines.iter().filter(|machine| port.is_in(machine.family));
    let ways = families.flat_map(|machine| {
        let sources = sources(machine.family).into_iter();
        let probes = sources.flat_map(|source| probes(world, port, machine, source));
        probes.map(|probe| one(world, machine, &probe))
    });
    let mut all = Reach::Nobody;
    for way in ways {
        all = match (all, way) {
            (Reach::Open, _) | (_, Reach::Open) => return Reach::Open,
            (Reach::Unknown(why), _) | (_, Reach::Unknown(why)) => Reach::Unknown(why),
            (Reach::Closed, _) | (_, Reach::Closed) => Reach::Closed,
            (Reach::Nobody, Reach::Nobody) => Reach::Nobody,
        };
    }
    all
}

/// Returns a connection by each interface that faces outside.
fn probes(world: World<'_>, port: &PublishedPort, machine: &Machine, source: IpAddr) -> Vec<Probe> {
    let faces = faces(world, machine);
    let probe = |name: &String| {
        let destination = port.single_address().or_else(|| own(machine, name))?;
        Some(Probe {
            input: Some(name.clone()),
            source,
            destination,
            protocol: number(port.protocol),
            source_port: 40_000,
            port: port.host,
            icmp: (0, 0),
            tcp_flags: 2,
            state: States::NEW,
            mark: 0,
            connmark: 0,
        })
    };
    faces.iter().filter_map(probe).collect()
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Icmp => 1,
        Protocol::Sctp => 132,
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

/// Returns an address of the host's that is reached by an interface: one of its own, else any.
pub(super) fn own(machine: &Machine, name: &str) -> Option<IpAddr> {
    let (mut here, mut others) = (Vec::new(), Vec::new());
    for link in &machine.interfaces {
        let list = if link.name == name {
            &mut here
        } else {
            &mut others
        };
        let addresses = link.addresses.iter().map(IpNet::addr);
        list.extend(addresses.filter(|it| !it.is_loopback()));
    }
    here.into_iter().chain(others).next()
}

pub(super) fn stranger(policy: &Policy, family: Family) -> Option<IpAddr> {
    let all = STRANGERS
        .iter()
        .filter_map(|text| text.parse::<IpAddr>().ok());
    let mut strangers = all.filter(|address| family.has(*address));
    strangers.find(|address| {
        let mut sets = policy.trusts.iter();
        !sets.any(|trust| trust.set.contains(*address))
    })
}

/// Returns the interfaces that face outside: all but loopback and the engine's bridges with their ports.
pub(super) fn faces(world: World<'_>, machine: &Machine) -> Vec<String> {
    let bridges: Vec<&str> = world.facts.bridges().map(|(name, _)| name).collect();
    let interfaces = world.facts.machine.as_ref().map(|it| &it.interfaces);
    let is_port = |name: &str| {
        let known = interfaces.and_then(|all| all.get(name));
        let master = known.and_then(|it| it.master.as_deref());
        master.is_some_and(|master| bridges.contains(&master))
    };
    let all = machine.interfaces.iter().map(|link| link.name.clone());
    let outer =
        all.filter(|name| name != "lo" && !bridges.contains(&name.as_str()) && !is_port(name));
    outer.collect()
}

fn one(world: World<'_>, machine: &Machine, probe: &Probe) -> Reach {
    let ways = traces(machine, probe);
    if ways.len() >= MAX_ENDS {
        return Reach::Unknown("the rules have more ways than can be followed".to_owned());
    }
    let arrive: Vec<&Trace> = ways
        .iter()
        .filter(|way| arrives(world, way, probe))
        .collect();
    if let Some(way) = ways
        .iter()
        .find(|way| matches!(way.end, End::Unknown(_) | End::Endless))
    {
        return Reach::Unknown(format!("what {} does is not known", target(way)));
    }
    match arrive.as_slice() {
        [] if is_native(world) => Reach::Unknown(
            "Docker writes its rules with nftables, which are not looked through".to_owned(),
        ),
        [] => Reach::Closed,
        arrive if arrive.len() == ways.len() => Reach::Open,
        [first, ..] => match first.assumptions.first() {
            None => Reach::Open,
            Some(assumed) => Reach::Unknown(format!(
                "it depends on what the kernel answers to {}",
                assumed.what.text
            )),
        },
    }
}

fn target(way: &Trace) -> String {
    match &way.end {
        End::Unknown(target) => format!("the target {target}"),
        _ => "a circle of rules".to_owned(),
    }
}

/// Its own tables translate, and nobody follows a packet through them.
fn is_native(world: World<'_>) -> bool {
    world.facts.settings.as_ref().is_some_and(|it| it.nftables)
}

/// A packet for the host gets to nobody where nothing listens.
fn arrives(world: World<'_>, way: &Trace, probe: &Probe) -> bool {
    if way.end != End::Host {
        return way.end.arrives();
    }
    let Some(machine) = &world.facts.machine else {
        return true;
    };
    let protocol = match probe.protocol {
        6 => "tcp",
        17 => "udp",
        // /proc does not tell who listens in one form for all.
        _ => return true,
    };
    machine
        .sockets
        .iter()
        .any(|socket| socket.protocol == protocol && socket.port == probe.port)
}
