//! A machine in network namespaces: the host with its interfaces, and a wire to each. Any packet can be
//! put on a wire, and what becomes of it is seen behind all rules, where it is taken away.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tidegate::net::Family;
use tidegate::netfilter::trace::{Machine, Probe};

use super::raw::{MAGIC, packet};
use crate::support::ns::Namespace;

/// Notes each packet by its number behind the last rule that could end or change it; priorities of
/// `netfilter_ipv4.h`. What the host sends to itself is noted where it comes back.
const WATCH: &str = "\
table inet watch {
  counter came { }
  set out4 { type mark . ifname . ipv4_addr . inet_service; flags dynamic; size 65535; }
  set out6 { type mark . ifname . ipv6_addr . inet_service; flags dynamic; size 65535; }
  chain came {
    type filter hook prerouting priority -500
    iifname != lo @th,64,16 MAGIC counter name came
    iifname != lo meta l4proto sctp @th,128,16 MAGIC counter name came
  }
  chain note {
    meta nfproto ipv4 add @out4 { meta mark . oifname . ip daddr . th dport } drop
    add @out6 { meta mark . oifname . ip6 daddr . th dport } drop
  }
  chain host {
    meta nfproto ipv4 add @out4 { meta mark . iifname . ip daddr . th dport } drop
    add @out6 { meta mark . iifname . ip6 daddr . th dport } drop
  }
  chain gone {
    type filter hook postrouting priority 400
    oifname lo accept
    meta l4proto sctp @th,128,16 MAGIC meta mark set @th,128,32 goto note
    @th,64,16 MAGIC meta mark set @th,64,32 goto note
    drop
  }
  chain kept {
    type filter hook input priority 400
    iifname lo icmpv6 type 135-136 accept
    meta l4proto sctp @th,128,16 MAGIC meta mark set @th,128,32 goto host
    @th,64,16 MAGIC meta mark set @th,64,32 goto host
    drop
  }
}
";

/// Where a packet was seen last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// The interface that it leaves by, or came to the host by.
    pub interface: String,
    pub destination: IpAddr,
    pub port: u16,
}

pub struct Wire {
    pub host: Namespace,
    /// What is at the other end of each interface.
    ends: BTreeMap<String, Namespace>,
    family: Family,
}

impl Wire {
    /// Makes the machine without its rules, and more interfaces of `names`.
    pub fn new(machine: &Machine, names: &[&str]) -> Self {
        let host = Namespace::new();
        for (key, value) in [
            ("net/ipv4/ip_forward", "1"),
            ("net/ipv6/conf/all/forwarding", "1"),
            ("net/ipv4/conf/all/rp_filter", "0"),
            ("net/ipv4/conf/default/rp_filter", "0"),
            ("net/ipv4/conf/all/send_redirects", "0"),
            ("net/ipv4/conf/default/send_redirects", "0"),
            // Bodies are not filled in.
            ("net/netfilter/nf_conntrack_checksum", "0"),
        ] {
            host.sysctl(key, value);
        }
        let links = machine.interfaces.iter().map(|link| link.name.as_str());
        let routes = machine.routes.iter().map(|(_, name)| name.as_str());
        let names = names.iter().copied();
        let mut ends = BTreeMap::new();
        for name in links
            .chain(routes)
            .chain(names)
            .filter(|name| *name != "lo")
        {
            ends.entry(name.to_owned())
                .or_insert_with(|| end(&host, name));
        }
        addressed(&host, machine);
        host.feed("nft -f -", &WATCH.replace("MAGIC", &format!("{MAGIC:#x}")));
        Wire {
            host,
            ends,
            family: machine.family,
        }
    }

    /// Sends packets, one after the other, and tells of each where it was seen last.
    pub fn send(&self, probes: &[Probe]) -> Vec<Option<Seen>> {
        self.host.ok("nft reset counters table inet watch");
        let mut by_end: BTreeMap<Option<&str>, Vec<(IpAddr, Vec<u8>)>> = BTreeMap::new();
        for (probe, number) in probes.iter().zip(0..) {
            let all = by_end.entry(probe.input.as_deref()).or_default();
            all.push((probe.destination, packet(probe, number)));
        }
        let mut sent = 0;
        for (end, packets) in by_end {
            sent += if end.is_some() { packets.len() } else { 0 };
            match end {
                Some(end) => self.ends[end].run(move || throw(&packets)),
                None => self.throw_own(packets),
            }
        }
        self.wait(sent);
        self.seen(probes.len())
    }

    /// What the host sends to itself is remembered, and must not be for the next packet.
    fn throw_own(&self, packets: Vec<(IpAddr, Vec<u8>)>) {
        for packet in packets {
            self.host.run(move || throw(&[packet]));
            self.host.ok("conntrack -F");
        }
    }

    /// Waits until all packets came to the host.
    fn wait(&self, sent: usize) {
        for _ in 0..100 {
            let told = self.host.ok("nft list counter inet watch came");
            if told.contains(&format!("packets {sent} ")) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let told = self.host.ok("nft list counter inet watch came");
        panic!("{sent} packets were sent, but: {told}");
    }

    fn seen(&self, count: usize) -> Vec<Option<Seen>> {
        let set = match self.family {
            Family::V4 => "out4",
            Family::V6 => "out6",
        };
        let told = self
            .host
            .ok(&format!("nft -j -n list set inet watch {set}"));
        self.host.ok(&format!("nft flush set inet watch {set}"));
        let told: serde_json::Value = serde_json::from_str(&told).expect("nft prints JSON");
        let mut found = vec![None; count];
        let parts = told["nftables"].as_array().expect("a list");
        let set = parts.iter().find(|part| !part["set"].is_null());
        let elements = set.and_then(|part| part["set"]["elem"].as_array());
        for element in elements.into_iter().flatten() {
            let (number, seen) = element_of(element);
            let before = found[number].replace(seen);
            assert!(
                before.is_none(),
                "packet {number} was seen twice: {element}"
            );
        }
        found
    }
}

fn element_of(element: &serde_json::Value) -> (usize, Seen) {
    let element = &element["concat"];
    let mark = element[0].as_u64().expect("a mark") as u32;
    let number = u32::from_be(mark) & 0xffff;
    let seen = Seen {
        interface: element[1].as_str().expect("an interface").to_owned(),
        destination: element[2]
            .as_str()
            .expect("an address")
            .parse()
            .expect("an address"),
        port: element[3].as_u64().expect("a port") as u16,
    };
    (number as usize, seen)
}

/// Makes an interface, and a place at its other end from which everything leads to the host.
fn end(host: &Namespace, name: &str) -> Namespace {
    let place = Namespace::new();
    let peer = format!("type veth peer name wire netns {}", place.id);
    // Without an address of its own making, as machines are told here.
    let script = format!(
        "link add {name} address 02:00:00:00:00:01 {peer}\n\
         link set {name} addrgenmode none\nlink set {name} up\n"
    );
    host.feed("ip -batch -", &script);
    place.feed(
        "ip -batch -",
        "link set wire up\n\
         neigh add 192.0.0.8 lladdr 02:00:00:00:00:01 dev wire nud permanent\n\
         neigh add fe80::1 lladdr 02:00:00:00:00:01 dev wire nud permanent\n\
         route add default via 192.0.0.8 dev wire onlink\n\
         route add default via fe80::1 dev wire onlink\n",
    );
    place
}

fn addressed(host: &Namespace, machine: &Machine) {
    let mut script = String::new();
    for link in &machine.interfaces {
        // In IPv6 the kernel puts each in front of those before.
        let mut all = link.addresses.clone();
        if machine.family == Family::V6 {
            all.reverse();
        }
        for net in all {
            let _ = writeln!(script, "addr add {net} dev {}", link.name);
        }
    }
    for (net, name) in &machine.routes {
        let _ = writeln!(script, "route add {net} dev {name}");
    }
    host.feed("ip -batch -", &script);
    // The kernel takes up an address of IPv6 a little later.
    while !host.ok("ip -6 addr show tentative").is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends packets that are whole, header and all.
fn throw(packets: &[(IpAddr, Vec<u8>)]) {
    const RAW: i32 = 255;
    const REFUSALS: [ErrorKind; 3] = [
        ErrorKind::PermissionDenied,
        ErrorKind::NetworkUnreachable,
        ErrorKind::HostUnreachable,
    ];
    let domain = |to: IpAddr| Domain::for_address(SocketAddr::new(to, 0));
    let Some((first, _)) = packets.first() else {
        return;
    };
    let socket = Socket::new(domain(*first), Type::RAW, Some(Protocol::from(RAW)));
    let socket = socket.expect("root may open raw sockets");
    socket.set_broadcast(true).expect("an option");
    for (to, bytes) in packets {
        let to_there = SockAddr::from(SocketAddr::new(*to, 0));
        // The host's own rules and routes may say no at once.
        if let Err(error) = socket.send_to(bytes, &to_there) {
            let refused = REFUSALS.contains(&error.kind());
            assert!(refused, "{to}: {error}: {bytes:02x?}");
        }
    }
}
