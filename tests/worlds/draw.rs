//! Worlds and policies that are drawn, each without a look at the other: they have names, bridges,
//! subnets and ports in common by chance alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::world::{MAIN, World};
use crate::props::dice::Dice;

/// A network that both may name: how the engine calls it, its bridge where it is chosen, its number.
const NETWORKS: [(&str, &str, u8); 3] = [
    ("shop", "br-shop", 28),
    ("blog", "br-blog", 29),
    ("proxy", "br-proxy", 30),
];
/// A container that both may name, and the network on which either looks for it, most of the time.
const CONTAINERS: [(&str, &str); 5] = [
    ("web", "shop"),
    ("db", "shop"),
    ("cache", "blog"),
    ("admin", "proxy"),
    ("mail", "blog"),
];
const PORTS: [&str; 4] = ["80", "5432", "6379", "53/udp"];
/// The ports of the host's, each used once in a world and once in a policy.
const HOST_PORTS: [u16; 6] = [8080, 8081, 5432, 6379, 9000, 53];

pub(super) fn world(seed: u64, engine: &str) -> World {
    let mut dice = Dice::new(seed);
    let mut machine = Machine::draw(&mut dice);
    let steps = machine.steps(&mut dice, engine);
    let policy = policy(&mut dice);
    World {
        name: format!("drawn {seed}"),
        steps,
        policies: BTreeMap::from([(MAIN.to_owned(), policy)]),
    }
}

/// Returns the network of a container: its usual one where that is there, or any.
fn home(
    dice: &mut Dice,
    (_, usual): (&str, &'static str),
    networks: &[&'static str],
) -> &'static str {
    if networks.contains(&usual) && !dice.one_in(8) {
        usual
    } else {
        dice.pick(networks)
    }
}

/// Two of the three networks have IPv6, most of the time.
fn has_ipv6(dice: &mut Dice, number: u8) -> bool {
    number.is_multiple_of(2) != dice.one_in(8)
}

struct Machine {
    networks: Vec<&'static str>,
    containers: Vec<(&'static str, &'static str)>,
    /// Not yet used.
    names: Vec<(&'static str, &'static str)>,
    ports: Vec<u16>,
    lines: Vec<String>,
    /// The number of the next subnet.
    next: u8,
}

impl Machine {
    fn draw(dice: &mut Dice) -> Self {
        let mut machine = Machine {
            networks: vec!["bridge"],
            containers: Vec::new(),
            names: CONTAINERS.to_vec(),
            ports: HOST_PORTS.to_vec(),
            lines: Vec::new(),
            next: 40,
        };
        for network in NETWORKS {
            if !dice.one_in(3) {
                machine.network(dice, network);
            }
        }
        for _ in 0..=1 + dice.below(3) {
            machine.container(dice);
        }
        machine
    }

    fn network(&mut self, dice: &mut Dice, (name, bridge, number): (&'static str, &str, u8)) {
        let mut line = format!("net {name}");
        let is_named = !dice.one_in(5);
        if is_named {
            let _ = write!(line, " -o com.docker.network.bridge.name={bridge}");
        }
        let number = if dice.one_in(8) { self.next } else { number };
        self.next += 1;
        if is_named || !dice.one_in(3) {
            let _ = write!(line, " --subnet 172.{number}.0.0/16");
            if has_ipv6(dice, number) {
                let _ = write!(line, " --ipv6 --subnet fd00:{number}::/64");
            }
        }
        for (times, option) in [
            (6, " --internal"),
            (4, " -o com.docker.network.bridge.enable_icc=false"),
        ] {
            if dice.one_in(times) {
                line += option;
            }
        }
        self.networks.push(name);
        self.lines.push(line);
    }

    fn container(&mut self, dice: &mut Dice) {
        if self.names.is_empty() {
            return;
        }
        let name = self.names.remove(dice.below(self.names.len()));
        let (network, held) = (home(dice, name, &self.networks), name);
        let name = held.0;
        let mut ports = BTreeSet::from([dice.pick(&PORTS), dice.pick(&PORTS)]);
        // Datagrams need another program, which is slow to start.
        if ports.len() > 1 && !dice.one_in(4) {
            ports.remove("53/udp");
        }
        let list: Vec<&str> = ports.iter().copied().collect();
        let mut line = format!("run {name} {network} {}", list.join(","));
        for port in list {
            if !self.ports.is_empty() && !dice.one_in(3) {
                let host = self.ports.remove(dice.below(self.ports.len()));
                let at = dice.pick(&["", "", "", "192.0.2.1:", "127.0.0.1:"]);
                let _ = write!(line, " -p {at}{host}:{port}");
            }
        }
        self.containers.push(held);
        self.lines.push(line);
    }

    /// Builds it, applies, and lets something happen.
    fn steps(&mut self, dice: &mut Dice, engine: &str) -> Vec<String> {
        let mut steps = vec![format!("engine {engine}").trim().to_owned()];
        steps.append(&mut self.lines);
        steps.extend(["try".to_owned(), "judge".to_owned()]);
        for _ in 0..=dice.below(2) {
            self.event(dice, &mut steps);
        }
        steps.extend(["judge".to_owned(), "try".to_owned(), "judge".to_owned()]);
        steps
    }

    fn event(&mut self, dice: &mut Dice, steps: &mut Vec<String>) {
        match dice.below(5) {
            0 => {
                let network = dice.pick(&self.networks);
                if network != "bridge" {
                    steps.push(format!("down {network}"));
                    self.later(dice, steps);
                    steps.push(format!("up {network}"));
                }
            }
            1 => steps.push("restart".to_owned()),
            2 if !self.containers.is_empty() => {
                let gone = self.containers.remove(dice.below(self.containers.len()));
                steps.push(format!("gone {}", gone.0));
                self.names.push(gone);
                self.container(dice);
                steps.append(&mut self.lines);
            }
            _ => self.later(dice, steps),
        }
    }

    /// A project comes that nobody has named.
    fn later(&mut self, dice: &mut Dice, steps: &mut Vec<String>) {
        let number = self.next;
        if self.networks.contains(&"later") {
            return;
        }
        self.next += 1;
        steps.push(match dice.below(2) {
            0 => "net later".to_owned(),
            _ => {
                format!("net later --ipv6 --subnet 172.{number}.0.0/16 --subnet fd00:{number}::/64")
            }
        });
        self.networks.push("later");
        let publish = self
            .ports
            .pop()
            .map_or_else(String::new, |port| format!(" -p {port}:80"));
        steps.push(format!("run guest later 80{publish}"));
    }
}

fn policy(dice: &mut Dice) -> String {
    let mut text = String::from("host {\n");
    if !dice.one_in(3) {
        text += "  uplink     eth0\n";
    }
    text += "  forwarding on\n";
    if !dice.one_in(3) {
        text += "  forward    drop\n";
    }
    text += "}\n\n";
    let office = dice.pick(&[
        "192.0.2.10, 2001:db8::10",
        "192.0.2.10",
        "2001:db8::/64",
        "192.0.2.0/24, except 192.0.2.66",
    ]);
    let vpn = dice.pick(&["10.20.0.0/24", "10.20.0.66, 2001:db8:20::66"]);
    let _ = writeln!(
        text,
        "trust office {{ {office} }}\n\ntrust vpn {{ {vpn} }}\n"
    );
    let mut networks = Vec::new();
    for (name, bridge, number) in NETWORKS {
        if networks.is_empty() || dice.one_in(2) {
            networks.push(name);
            text += &network(dice, name, bridge, number);
        }
    }
    if dice.one_in(5) {
        networks.push("default");
        text += "network default {\n  bridge docker0\n  subnet 172.17.0.0/16\n  icc    on\n}\n\n";
    }
    let containers = containers(dice, &networks, &mut text);
    access(dice, &networks, &containers, &mut text);
    text
}

fn network(dice: &mut Dice, name: &str, bridge: &str, number: u8) -> String {
    let six = if has_ipv6(dice, number) {
        format!(", fd00:{number}::/64")
    } else {
        String::new()
    };
    let mut text =
        format!("network {name} {{\n  bridge {bridge}\n  subnet 172.{number}.0.0/16{six}\n");
    for (times, option) in [(2, "icc on"), (5, "egress off"), (5, "host-access off")] {
        if dice.one_in(times) {
            let _ = writeln!(text, "  {option}");
        }
    }
    text + "}\n\n"
}

/// Writes containers, each with the first address of its own that nobody else has, or none.
fn containers(dice: &mut Dice, networks: &[&'static str], text: &mut String) -> Vec<&'static str> {
    let mut ports = HOST_PORTS.to_vec();
    let mut declared = Vec::new();
    for held in CONTAINERS {
        if dice.one_in(2) {
            continue;
        }
        let (name, network) = (held.0, home(dice, held, networks));
        declared.push(name);
        let _ = writeln!(text, "container {name} on {network} {{");
        for _ in 0..=dice.below(2) {
            let port = dice.pick(&PORTS);
            let port = if port.contains('/') {
                port.to_owned()
            } else {
                format!("{port}/tcp")
            };
            let from = dice.pick(&["any", "outside", "office", "vpn", "host", "office, vpn"]);
            let _ = match dice.below(4) {
                0 => writeln!(text, "  expose {port}"),
                1 => writeln!(text, "  expose {port} from {from}"),
                _ if ports.is_empty() => Ok(()),
                _ => {
                    let host = ports.remove(dice.below(ports.len()));
                    let at = dice.pick(&["", "", "", "192.0.2.1:"]);
                    writeln!(text, "  expose {port} as {at}{host} from {from}")
                }
            };
        }
        *text += "}\n\n";
    }
    declared
}

fn access(dice: &mut Dice, networks: &[&str], containers: &[&str], text: &mut String) {
    // Who says something about a container that does not run is refused, and that is soon told.
    let (parties, verb) = if dice.one_in(4) {
        (containers, "link")
    } else {
        (networks, "allow")
    };
    if parties.is_empty() {
        return;
    }
    for _ in 0..dice.below(3) {
        let (from, to) = (dice.pick(parties), dice.pick(parties));
        let wide = dice.pick(&["office", "vpn", "outside"]);
        let _ = match dice.below(4) {
            0 if from != to => writeln!(text, "{verb} {from} -> {to}"),
            1 => writeln!(text, "allow {wide} -> {to} : 80/tcp"),
            2 => writeln!(text, "deny {wide} -> {to}"),
            _ if from != to => writeln!(text, "deny {from} -> {to} : 5432/tcp"),
            _ => Ok(()),
        };
    }
}
