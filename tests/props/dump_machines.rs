//! Random machines, and packets at the bounds of what their rules are about.

use std::net::IpAddr;

use ipnet::IpNet;
use tidegate::net::Family;
use tidegate::netfilter::dump::{States, read};
use tidegate::netfilter::trace::{Link, Machine, Probe};

use super::dice::Dice;

pub const INTERFACES: [&str; 7] = ["eth0", "eth1", "br-1", "br-2", "br-12", "wg0", "lo"];
/// Interfaces that no rule names.
const STRANGERS: [&str; 3] = ["br-3", "tun0", "eth"];
pub const PORTS: [u16; 8] = [0, 22, 80, 81, 443, 1024, 8080, u16::MAX];
/// What rules are about, and around what packets come from and go to.
pub const NETS: [(&str, &str); 16] = [
    ("0.0.0.0/0", "::/0"),
    ("192.0.2.0/24", "2001:db8:0:1::/64"),
    ("192.0.2.1/32", "2001:db8:0:1::1/128"),
    ("172.18.0.0/16", "fd00::/16"),
    ("172.18.1.0/24", "fd00:1::/64"),
    ("172.18.1.128/25", "fd00:1::8000/113"),
    ("172.18.1.10/32", "fd00:1::10/128"),
    ("172.18.2.0/24", "fd00:2::/64"),
    ("172.18.2.11/32", "fd00:2::11/128"),
    ("10.8.0.0/16", "2001:db8:8::/48"),
    ("10.8.3.0/30", "2001:db8:8:3::/126"),
    ("203.0.113.64/26", "2001:db8:10:40::/58"),
    ("203.0.113.66/32", "2001:db8:10::66/128"),
    ("198.51.100.0/25", "2001:db8:51::/49"),
    ("127.0.0.0/8", "::1/128"),
    ("224.0.0.0/4", "ff00::/8"),
];
/// The machine's own addresses.
const OWN: [(&str, &str, &str); 5] = [
    ("eth0", "192.0.2.1/24", "2001:db8:0:1::1/64"),
    ("br-1", "172.18.1.1/24", "fd00:1::1/64"),
    ("br-2", "172.18.2.1/24", "fd00:2::1/64"),
    ("wg0", "10.8.0.1/16", "2001:db8:8::1/48"),
    ("eth0", "198.51.100.9/26", "2001:db8:51::9/50"),
];
const ROUTES: [(&str, &str, &str); 4] = [
    ("0.0.0.0/0", "::/0", "eth0"),
    ("203.0.113.64/27", "2001:db8:10:40::/59", "wg0"),
    ("172.18.1.192/26", "fd00:1::c000/114", "br-2"),
    ("198.51.100.0/24", "2001:db8:51::/48", "eth1"),
];

/// Returns what takes the side of one family.
pub fn nets_of(family: Family) -> impl Fn((&'static str, &'static str)) -> &'static str {
    move |(four, six)| if family == Family::V4 { four } else { six }
}

fn net(family: Family, pair: (&'static str, &'static str)) -> IpNet {
    nets_of(family)(pair).parse().expect("a prefix")
}

/// Returns a machine with rules.
pub fn machine(dice: &mut Dice, family: Family, rules: &str) -> Machine {
    let mut interfaces: Vec<Link> = Vec::new();
    for (name, four, six) in OWN {
        let address = net(family, (four, six));
        match interfaces.iter_mut().find(|link| link.name == name) {
            _ if dice.one_in(5) => {}
            Some(link) => link.addresses.push(address),
            None => interfaces.push(Link {
                name: name.to_owned(),
                addresses: vec![address],
            }),
        }
    }
    let routes = ROUTES.iter().filter(|_| dice.below(4) > 0);
    let routes = routes.map(|(four, six, name)| (net(family, (four, six)), (*name).to_owned()));
    Machine {
        family,
        rules: read(rules, family).unwrap_or_else(|error| panic!("{error}\n{rules}")),
        interfaces,
        routes: routes.collect(),
    }
}

/// Returns an address at a bound of some prefix, or just beside.
fn address(dice: &mut Dice, family: Family) -> IpAddr {
    let net = net(family, dice.pick(&NETS));
    let end = dice.pick(&[net.network(), net.broadcast()]);
    let by = dice.pick(&[0i8, 0, 1, -1]);
    match end {
        IpAddr::V4(end) => IpAddr::V4(end.to_bits().wrapping_add_signed(by.into()).into()),
        IpAddr::V6(end) => IpAddr::V6(end.to_bits().wrapping_add_signed(by.into()).into()),
    }
}

/// Returns an address that packets are translated to.
pub fn target(dice: &mut Dice, family: Family) -> IpAddr {
    let own = OWN.map(|(_, four, six)| net(family, (four, six)).addr());
    let others = [NETS[6], NETS[8], NETS[12]].map(|pair| net(family, pair).addr());
    let lo = net(family, ("127.0.0.1/32", "::1/128")).addr();
    dice.pick(&[own.as_slice(), &others, &others, &[lo]].concat())
}

fn port(dice: &mut Dice) -> u16 {
    let port = dice.pick(&PORTS);
    port.wrapping_add_signed(dice.pick(&[0, 0, 1, -1]))
}

/// Returns the first packet of a connection.
pub fn packet(dice: &mut Dice, family: Family) -> Probe {
    let icmp = if family == Family::V4 { 1 } else { 58 };
    let protocol = dice.pick(&[6, 6, 17, 17, icmp, 132, 136, 47]);
    let has_ports = [6, 17, 132, 136].contains(&protocol);
    let name = match dice.below(8) {
        0 | 1 => None,
        2 => Some(dice.pick(&STRANGERS).to_owned()),
        _ => Some(dice.pick(&INTERFACES).to_owned()),
    };
    Probe {
        input: name,
        source: address(dice, family),
        destination: address(dice, family),
        protocol,
        source_port: if has_ports { port(dice) } else { 0 },
        port: if has_ports { port(dice) } else { 0 },
        icmp: if protocol == icmp {
            (dice.pick(&[0, 1, 3, 8, 128]), dice.pick(&[0, 3, 4]))
        } else {
            (0, 0)
        },
        tcp_flags: 2,
        state: States::NEW,
        mark: 0,
        connmark: 0,
    }
}
