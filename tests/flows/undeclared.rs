//! A host that does more than its policy says: undeclared networks of the engine's, bridges of others, a
//! VPN. What comes by which interface gets where, in the kernel and in the evaluator.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use tidegate::compile::{How, compile_with};
use tidegate::facts::Facts;
use tidegate::netfilter::Family;
use tidegate::netfilter::dump::{States, read};
use tidegate::netfilter::trace::{Link, Machine, Probe, traces};

use super::kernel::{connect, serve_tcp, until_connected};
use crate::support::files::Files;
use crate::support::ns::{Namespace, is_root};

/// Interfaces by the number of their subnet, and whether they are bridges.
const SIDES: [(&str, bool); 8] = [
    ("eth0", false),
    ("wg0", false),
    ("virbr0", true),
    ("br-lan", true),
    ("docker0", true),
    ("br-9f86d081884c", true),
    ("kvm", true),
    ("br-shop", true),
];

const POLICY: &str = "network shop {\n  bridge br-shop\n  subnet 10.0.7.0/24, fd00:7::/64\n}\n\
    container db on shop at 10.0.7.2, fd00:7::2 {\n  expose 5432/tcp\n}\n";

const FACTS: &str = "engine: docker 28.5.2
networks:
  bridge: {driver: bridge, bridge: docker0}
  other: {driver: bridge, bridge: br-9f86d081884c}
  own: {driver: bridge, bridge: kvm}
  shop: {driver: bridge, bridge: br-shop, subnets: ['10.0.7.0/24', 'fd00:7::/64']}
containers:
  app: {networks: {bridge: [10.0.4.2]}, ports: ['8081->80/tcp']}
  db: {networks: {shop: [10.0.7.2, 'fd00:7::2']}, ports: ['0.0.0.0:9000->5432/tcp']}
  unnamed: {networks: {shop: [10.0.7.3, 'fd00:7::3']}, ports: ['9001->80/tcp']}
machine:
  interfaces: {br-lan: {kind: bridge}, virbr0: {kind: bridge}, eth0: {}}
";

/// From whom to whose port 80, or to which port of the host, and whether it passes.
type Flow = (&'static str, &'static str, bool);

const OTHERWISE: [Flow; 11] = [
    ("wg0", "virbr0", true),
    ("eth0", "virbr0", true),
    ("eth0", "br-lan", true),
    ("br-lan", "eth0", true),
    ("docker0", "eth0", true),
    ("kvm", "eth0", true),
    ("docker0", "br-9f86d081884c", true),
    ("docker0", "br-lan", true),
    ("br-shop", "docker0", true),
    ("eth0", "br-shop", false),
    ("docker0", "br-shop", false),
];

/// Ways into the engine's networks that are open where they are left to the engine.
const CLOSED: [(&str, &str); 9] = [
    ("eth0", "docker0"),
    ("eth0", "br-9f86d081884c"),
    ("eth0", "kvm"),
    ("wg0", "docker0"),
    ("virbr0", "kvm"),
    ("br-lan", "docker0"),
    ("br-lan", "br-9f86d081884c"),
    ("br-lan", "8081"),
    ("eth0", "8081"),
];

const AT_HOST: [Flow; 14] = [
    ("docker0", "8081", true),
    ("kvm", "8081", true),
    ("br-shop", "8081", true),
    ("eth0", "9000", false),
    ("docker0", "9000", false),
    ("br-lan", "9000", false),
    ("br-shop", "9000", false),
    // A container that no line names is one of its network all the same.
    ("eth0", "9001", false),
    ("docker0", "9001", false),
    ("kvm", "9001", false),
    ("br-lan", "9001", false),
    ("br-shop", "9001", false),
    ("eth0", "22", true),
    ("br-shop", "22", true),
];

fn flows(closed: bool) -> Vec<Flow> {
    let into = CLOSED.iter().map(|(from, to)| (*from, *to, !closed));
    let all = into.chain(OTHERWISE).chain(AT_HOST);
    all.collect()
}

fn address(side: usize, end: u8, family: Family) -> IpAddr {
    let text = match family {
        Family::V4 => format!("10.0.{side}.{end}"),
        Family::V6 => format!("fd00:{side}::{end}"),
    };
    text.parse().expect("an address")
}

fn side(name: &str) -> usize {
    let place = SIDES.iter().position(|(side, _)| *side == name);
    place.unwrap_or_else(|| panic!("no side {name}"))
}

/// The host is asked at the address that whoever asks knows as its router's.
fn target(from: usize, to: &str, family: Family) -> SocketAddr {
    match to.parse() {
        Ok(port) => SocketAddr::new(address(from, 1, family), port),
        Err(_) => SocketAddr::new(address(side(to), 2, family), 80),
    }
}

fn rules(others: &str, uplink: &str) -> [String; 2] {
    rules_of(FACTS, others, uplink)
}

fn rules_of(facts: &str, others: &str, uplink: &str) -> [String; 2] {
    let text = format!("host {{\n  engine docker 28.5\n  uplink {uplink}\n{others}}}\n{POLICY}");
    let facts = Facts::read(facts).expect("facts");
    let compiled = compile_with(
        &Files::one(&text),
        "policy.tide",
        Some(&facts),
        How::default(),
    );
    let bundle = compiled.bundles.first();
    let bundle = bundle.unwrap_or_else(|| panic!("{text}\n{:#?}", compiled.diagnostics));
    Family::BOTH.map(|family| bundle.rules(family).to_owned())
}

const ENGINE: &str = "*filter\n:DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\nCOMMIT\n";
const HOOKS: &str = "*filter\n:FORWARD ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n";

fn machine(rules: &str, family: Family) -> Machine {
    let mut dump = read(HOOKS, family).expect("a dump");
    for text in [ENGINE, rules] {
        dump.load(text, family).expect("rules that load");
    }
    let length = if family == Family::V4 { 24 } else { 64 };
    let link = |(number, (name, _)): (usize, &(&str, bool))| Link {
        name: (*name).to_owned(),
        addresses: vec![IpNet::new(address(number, 1, family), length).expect("a length")],
    };
    Machine {
        family,
        rules: dump,
        interfaces: SIDES.iter().enumerate().map(link).collect(),
        routes: Vec::new(),
    }
}

/// Returns whether the evaluator lets a flow pass.
fn passes(machine: &Machine, from: &str, to: &str) -> bool {
    let target = target(side(from), to, machine.family);
    let probe = Probe {
        input: Some(from.to_owned()),
        source: address(side(from), 2, machine.family),
        destination: target.ip(),
        protocol: 6,
        source_port: 40_000,
        port: target.port(),
        icmp: (0, 0),
        tcp_flags: 2,
        state: States::NEW,
        mark: 0,
        connmark: 0,
    };
    traces(machine, &probe).iter().all(|way| way.end.arrives())
}

#[test]
fn the_evaluator_closes_what_no_line_declares() {
    for (others, closed) in [("", true), ("  others leave\n", false)] {
        for uplink in ["eth0", "eth0, br-lan"] {
            for (family, rules) in Family::BOTH.into_iter().zip(rules(others, uplink)) {
                let machine = machine(&rules, family);
                for (from, to, open) in flows(closed) {
                    let found = passes(&machine, from, to);
                    assert_eq!(found, open, "{others}{from} -> {to}, {family}\n{rules}");
                }
            }
        }
    }
}

/// Docker before 27 has no rule for IPv6, so a FORWARD policy of DROP would end what it never closed.
#[test]
fn a_forward_policy_of_drop_takes_nothing_from_undeclared_networks_without_ip6tables() {
    const FLOWS: [Flow; 9] = [
        ("docker0", "eth0", true),
        ("docker0", "br-lan", true),
        ("docker0", "br-9f86d081884c", true),
        ("kvm", "eth0", true),
        ("kvm", "docker0", true),
        ("wg0", "virbr0", false),
        ("eth0", "docker0", false),
        ("br-lan", "kvm", false),
        ("docker0", "br-shop", false),
    ];
    let facts = |settings: &str| {
        FACTS.replace(
            "networks:\n  bridge",
            &format!("settings: {settings}\nnetworks:\n  bridge"),
        )
    };
    let uplink = "eth0, br-lan";
    let passes_by = |settings: &str, others: &str, from: &str, to: &str| {
        let [_, rules] = rules_of(&facts(settings), others, uplink);
        passes(&machine(&rules, Family::V6), from, to)
    };
    for (from, to, open) in FLOWS {
        let found = passes_by("{version: 20.10.24}", "  forward drop\n", from, to);
        assert_eq!(found, open, "{from} -> {to}");
        // Its own rules decide, where it has some.
        let helped = passes_by("{version: 28.5.2}", "  forward drop\n", from, to);
        assert!(!helped, "{from} -> {to}");
    }
    let written = "{version: 20.10.24, ip6tables: true}";
    assert!(!passes_by(written, "  forward drop\n", "docker0", "eth0"));
    let left = "  forward drop\n  others leave\n";
    assert!(passes_by("{version: 20.10.24}", left, "docker0", "eth0"));
}

struct World {
    host: Namespace,
    sides: Vec<Namespace>,
}

impl World {
    fn new() -> Self {
        let host = Namespace::new();
        for key in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
            host.sysctl(key, "1");
        }
        let sides = SIDES.iter().map(|_| Namespace::new()).collect();
        let world = World { host, sides };
        for (number, (name, is_bridge)) in SIDES.iter().enumerate() {
            world.attach(number, name, *is_bridge);
        }
        for port in [22, 8081, 9000, 9001] {
            world.host.run(move || serve_tcp(port));
        }
        for (number, side) in world.sides.iter().enumerate() {
            side.run(|| serve_tcp(80));
            for family in Family::BOTH {
                let to = SocketAddr::new(address(number, 2, family), 80);
                world.host.run(move || until_connected(to));
            }
        }
        world
    }

    fn attach(&self, number: usize, name: &str, is_bridge: bool) {
        let (host, side) = (&self.host, &self.sides[number]);
        let port = if is_bridge {
            format!("port{number}")
        } else {
            name.to_owned()
        };
        let peer = format!("peer name eth0 netns {}", side.id);
        host.ok(&format!("ip link add {port} type veth {peer}"));
        if is_bridge {
            host.ok(&format!("ip link add {name} type bridge"));
            host.ok(&format!("ip link set {port} master {name} up"));
        }
        host.ok(&format!("ip link set {name} up"));
        side.ok("ip link set eth0 up");
        for (family, length) in Family::BOTH.into_iter().zip([24, 64]) {
            let (here, there) = (address(number, 1, family), address(number, 2, family));
            host.ok(&format!("ip addr add {here}/{length} dev {name}"));
            side.ok(&format!("ip addr add {there}/{length} dev eth0"));
            side.ok(&format!("ip route add default via {here}"));
        }
    }

    fn connects(&self, from: &str, to: &str, family: Family) -> bool {
        let number = side(from);
        let (source, to) = (address(number, 2, family), target(number, to, family));
        self.sides[number].run(move || connect(source, to))
    }
}

#[test]
fn the_kernel_closes_what_no_line_declares() {
    if !is_root() {
        return;
    }
    for variant in ["nft", "legacy"] {
        let world = World::new();
        for (family, rules) in Family::BOTH.into_iter().zip(rules("", "eth0")) {
            let tool = match family {
                Family::V4 => "iptables",
                Family::V6 => "ip6tables",
            };
            let restore = format!("{tool}-{variant}-restore -w 10 --noflush");
            world.host.feed(&restore, ENGINE);
            world.host.feed(&restore, &rules);
            for (from, to, open) in flows(true) {
                let found = world.connects(from, to, family);
                assert_eq!(found, open, "{variant}: {from} -> {to}, {family}\n{rules}");
            }
        }
    }
}
