//! Random policies as text, and random packets that are likely to matter to them.

use std::fmt::Write;
use std::net::IpAddr;

use tidegate::net::PortRange;
use tidegate::netfilter::{ConnState, Packet};
use tidegate::policy::ir::{
    ContainerId, EnginePort, Exposure, IfName, Limits, Owner, Policy, Protocol, Published,
};

/// A row of random bytes that is read as a row of choices; a shorter row is a simpler thing, so
/// that shrinking the bytes shrinks the policy.
pub struct Tape<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tape<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Tape { bytes, at: 0 }
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(byte) % end
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 1
    }
}

const MEMBERS: [&str; 9] = [
    "203.0.113.0/24",
    "203.0.113.66",
    "198.51.100.7",
    "10.8.0.0/16",
    "10.8.3.1-10.8.3.9",
    "172.18.0.10",
    "2001:db8:10::/48",
    "2001:db8:10::7",
    "0.0.0.0/0",
];
const SERVICES: [&str; 8] = [
    "",
    ": 80/tcp",
    ": 80-82/tcp",
    ": 81/udp",
    ": tcp",
    ": icmp",
    ": icmp echo-request",
    ": 80,443/tcp",
];

/// Returns a policy of up to three sets, three networks and four containers.
pub fn policy(tape: &mut Tape<'_>) -> String {
    let mut text = String::new();
    host(tape, &mut text);
    let (trusts, networks, containers) = (1 + tape.below(3), 1 + tape.below(3), 1 + tape.below(4));
    for id in 0..trusts {
        let members: Vec<&str> = (0..=tape.below(2)).map(|_| tape.pick(&MEMBERS)).collect();
        let except = if tape.below(4) == 0 {
            ", 192.0.2.1, except 203.0.113.66"
        } else {
            ""
        };
        let _ = writeln!(text, "trust t{id} {{ {}{except} }}", members.join(", "));
    }
    for id in 0..networks {
        network(tape, &mut text, id);
    }
    for id in 0..containers {
        container(tape, &mut text, id, trusts, networks);
    }
    let names = Names {
        trusts,
        networks,
        containers,
    };
    for _ in 0..tape.below(5) {
        access(tape, &mut text, &names);
    }
    text
}

struct Names {
    trusts: usize,
    networks: usize,
    containers: usize,
}

impl Names {
    fn any(&self, tape: &mut Tape<'_>) -> String {
        match tape.below(5) {
            0 => format!("t{}", tape.below(self.trusts)),
            1 => format!("n{}", tape.below(self.networks)),
            2 => "any".to_owned(),
            3 => "outside".to_owned(),
            _ => format!("c{}", tape.below(self.containers)),
        }
    }
}

fn host(tape: &mut Tape<'_>, text: &mut String) {
    text.push_str("host {\n");
    let none = tape.below(4) == 1;
    if none {
        text.push_str("  engine none\n");
    }
    if tape.flip() {
        let more = tape.pick(&["", "", ", br-lan"]);
        let _ = writeln!(text, "  uplink eth0{more}");
    }
    if tape.flip() || none {
        text.push_str("  forwarding on\n  forward drop\n");
    }
    if tape.flip() {
        text.push_str("  log denied limit 6/minute\n");
    }
    let others = tape.pick(&["", "", "", "closed", "leave", "drop", "drop"]);
    if !others.is_empty() {
        let _ = writeln!(text, "  others {others}");
    }
    text.push_str("}\n");
}

fn network(tape: &mut Tape<'_>, text: &mut String, id: usize) {
    let on = |flag: bool| if flag { "on" } else { "off" };
    let (icc, egress, host, anti) = (tape.flip(), tape.flip(), tape.flip(), tape.below(4) != 0);
    let _ = writeln!(
        text,
        "network n{id} {{\n  bridge br-{id}\n  subnet 172.18.{id}.0/24, fd00:{id}::/64\n  icc {}\n  \
         egress {}\n  host-access {}\n  antispoof {}\n}}",
        on(icc),
        on(egress),
        on(host),
        on(anti)
    );
}

fn container(tape: &mut Tape<'_>, text: &mut String, id: usize, trusts: usize, networks: usize) {
    let first = tape.below(networks);
    let _ = write!(
        text,
        "container c{id} on n{first} at 172.18.{first}.1{id}, fd00:{first}::1{id}"
    );
    if networks > 1 && tape.below(4) == 0 {
        let second = (first + 1) % networks;
        let _ = write!(
            text,
            " on n{second} at 172.18.{second}.1{id}, fd00:{second}::1{id}"
        );
    }
    text.push_str(" {\n");
    for number in 0..tape.below(3) {
        let port = 80 + number;
        let protocol = tape.pick(&["tcp", "tcp", "udp"]);
        let from = match tape.below(6) {
            0 => "any".to_owned(),
            1 => "outside".to_owned(),
            2 => format!("n{}", tape.below(networks)),
            3 => "host".to_owned(),
            _ => format!("t{}", tape.below(trusts)),
        };
        let host_port = 8000 + id * 10 + number;
        let range = (host_port + 2 + 2 * number, port + 10 + 2 * number);
        let limit = tape.pick(&LIMITS);
        let _ = match tape.below(5) {
            0 => writeln!(text, "  expose {port}/{protocol}"),
            4 => writeln!(
                text,
                "  expose {1}-{3}/{protocol} as {0}-{2} from {from} {limit}",
                range.0,
                range.1,
                range.0 + 2,
                range.1 + 2
            ),
            1 => writeln!(text, "  expose {port}/{protocol} from {from} {limit}"),
            2 => writeln!(
                text,
                "  expose {port}/{protocol} as 192.0.2.1:{host_port} from any"
            ),
            _ => writeln!(
                text,
                "  expose {port}/{protocol} as {host_port} from {from} {limit}"
            ),
        };
    }
    text.push_str("}\n");
}

fn access(tape: &mut Tape<'_>, text: &mut String, names: &Names) {
    let verb = tape.pick(&["allow", "deny", "allow"]);
    let (left, service) = (names.any(tape), tape.pick(&SERVICES));
    // The host's own connections are open but for denials.
    let own = verb == "deny" && tape.below(3) == 1;
    let left = if own { "host".to_owned() } else { left };
    // A container, a network or the host on the right, so that a declared thing is concerned.
    let right = match tape.below(5) {
        0 if !own => "host".to_owned(),
        1 => format!("n{}", tape.below(names.networks)),
        2 if own || left.starts_with(['c', 'n']) => names.any(tape),
        _ => format!("c{}", tape.below(names.containers)),
    };
    let _ = writeln!(text, "{verb} {left} -> {right} {service}");
}

const LIMITS: [&str; 5] = [
    "",
    "",
    "",
    "limit 50/second burst 7 per source",
    "limit 3/minute limit 20 connections per source",
];
const ADDRESSES: [(&str, &str); 18] = [
    ("203.0.113.5", "2001:db8:10::7"),
    ("203.0.113.66", "2001:db8:10:1::1"),
    ("203.0.114.0", "2001:db8:11::"),
    ("198.51.100.7", "2001:db8:f::1"),
    ("10.8.3.9", "2001:db8:10::8"),
    ("10.8.3.10", "::"),
    ("172.18.0.10", "fd00:0::10"),
    ("172.18.0.11", "fd00:0::11"),
    ("172.18.1.10", "fd00:1::10"),
    ("172.18.1.12", "fd00:1::12"),
    ("172.18.2.13", "fd00:2::13"),
    ("172.18.0.1", "fe80::1"),
    ("192.0.2.1", "fd00:2::1"),
    ("127.0.0.1", "fd00:3::1"),
    ("172.18.0.255", "fe80::2"),
    ("172.18.1.255", "fe80::3"),
    ("224.0.0.251", "ff02::1"),
    ("255.255.255.255", "ff05::2"),
];
const INTERFACES: [&str; 11] = [
    "eth0",
    "wg0",
    "br-0",
    "br-1",
    "br-2",
    "docker0",
    "br-lan",
    "br-9f86d081884c",
    "kvm",
    "virbr0",
    "podman1",
];

/// Puts what no line declares beside a policy: it has nothing to do with what the policy says.
pub fn surround(tape: &mut Tape<'_>, policy: &mut Policy) {
    let name = |name: &str| IfName(name.to_owned());
    if tape.flip() {
        policy.undeclared.bridges.push(name("kvm"));
    }
    if tape.flip() {
        policy.undeclared.bridges.push(name("br-9f86d081884c"));
    }
    if tape.flip() {
        policy.undeclared.foreign.push(name("br-lan"));
    }
    for _ in 0..tape.below(4) {
        let port = engine_port(tape, policy);
        policy.undeclared.ports.push(port);
    }
}

fn engine_port(tape: &mut Tape<'_>, policy: &Policy) -> EnginePort {
    let first = tape.pick(&[22u16, 8000, 8001, 8003, 8010, 8011, 8020]);
    let last = first + tape.pick(&[0, 0, 2]);
    let address = tape.pick(&[None, None, Some(IpAddr::from([192, 0, 2, 1]))]);
    let protocol = tape.pick(&[Protocol::Tcp, Protocol::Tcp, Protocol::Udp]);
    let ports = PortRange { first, last };
    let published = Published { address, ports };
    let id = tape.below(policy.containers.len().max(1));
    let container = policy.containers.get(id);
    let owner = match (tape.below(3), container) {
        (0, Some(container)) => {
            let exposure = Exposure {
                protocol,
                ports: PortRange {
                    first: 80,
                    last: 80 + last - first,
                },
                published: Some(published.clone()),
                from: Vec::new(),
                limits: Limits::default(),
                log: false,
                span: container.span,
            };
            Owner::Declared(ContainerId(id), exposure)
        }
        (1, Some(container)) => Owner::Taken(container.span),
        _ => Owner::Undeclared,
    };
    EnginePort {
        container: "someone".to_owned(),
        protocol,
        published,
        owner,
    }
}

/// Returns the first packet of a connection. An empty `output` is for the host itself.
pub fn packet(tape: &mut Tape<'_>, v6: bool, to_host: bool) -> Packet {
    let address = |tape: &mut Tape<'_>| -> IpAddr {
        let (four, six) = tape.pick(&ADDRESSES);
        (if v6 { six } else { four }).parse().expect("an address")
    };
    let protocol = tape.pick(&[Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Icmp]);
    let icmp = protocol == Protocol::Icmp;
    let ports: &[u16] = if to_host {
        &[22, 8000, 8001, 8003, 8006, 8010, 8011, 8013, 8020]
    } else {
        &[80, 81, 82, 443]
    };
    let translated = !to_host && !icmp && tape.flip();
    let before = translated.then(|| {
        (
            address(tape),
            tape.pick(&[8000u16, 8001, 8010, 8011, 8020, 80]),
        )
    });
    Packet {
        source: address(tape),
        destination: address(tape),
        input: tape.pick(&INTERFACES).to_owned(),
        output: if to_host {
            String::new()
        } else {
            tape.pick(&INTERFACES).to_owned()
        },
        protocol,
        source_port: 40_000,
        port: if icmp { 0 } else { tape.pick(ports) },
        icmp_type: if icmp {
            tape.pick(&[8, 128, 135, 0, 133])
        } else {
            0
        },
        conn: ConnState {
            known: false,
            translated_from: before,
            mark: 0,
        },
        // Somebody else's bits, and ours where nobody may have set it yet.
        mark: tape.pick(&[0u32, 1, 0x1000_0000]),
        over: tape.flip(),
    }
}

/// Puts real addresses of the policy into a packet now and then.
pub fn aim(tape: &mut Tape<'_>, policy: &Policy, packet: &mut Packet) {
    let v6 = packet.source.is_ipv6();
    let all = policy.containers.iter().flat_map(|c| &c.attachments);
    let all = all.flat_map(|at| at.addresses.iter().map(move |a| (at.network, *a)));
    let all: Vec<_> = all.filter(|(_, address)| address.is_ipv6() == v6).collect();
    if all.is_empty() || packet.output.is_empty() || tape.below(2) == 0 {
        return;
    }
    let (network, address) = tape.pick(&all);
    packet.destination = address;
    packet
        .output
        .clone_from(&policy.networks[network.0].bridge.0);
    if tape.flip() {
        let (network, address) = tape.pick(&all);
        packet.source = address;
        packet
            .input
            .clone_from(&policy.networks[network.0].bridge.0);
    }
}
