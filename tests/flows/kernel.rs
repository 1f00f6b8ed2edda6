//! A policy's world in network namespaces: the host with its bridges, every container, and one
//! namespace for everything outside.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tidegate::artifact::Bundle;
use tidegate::netfilter::Family;
use tidegate::netfilter::docker::{DockerSetup, guard};
use tidegate::policy::ir::{Engine, NetworkId, Policy, Protocol};

use super::table::{Flow, HOST, Origin, address_of, network_towards, with_addresses};
use super::{engine_nft, no_engine};
use crate::support::ns::Namespace;

/// A connection that is dropped gives no answer; one that passes answers within a millisecond.
const PATIENCE: Duration = Duration::from_millis(400);

pub struct World {
    pub host: Namespace,
    outside: Namespace,
    containers: Vec<Namespace>,
    variant: &'static str,
}

impl World {
    /// Makes the world of a policy, with the engine's rules and without ours.
    pub fn new(policy: &Policy, flows: &[Flow], variant: &'static str) -> Self {
        let (host, outside) = (Namespace::new(), Namespace::new());
        for key in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
            host.sysctl(key, "1");
        }
        // A namespace begins with these on where their module is loaded; a machine does not.
        for tool in ["iptables", "ip6tables"] {
            host.sysctl(&format!("net/bridge/bridge-nf-call-{tool}"), "0");
        }
        let containers = policy.containers.iter().map(|_| Namespace::new()).collect();
        let world = World {
            host,
            outside,
            containers,
            variant,
        };
        world.uplink(policy, flows);
        for id in (0..policy.networks.len()).filter(|id| policy.networks[*id].local) {
            world.bridge(policy, NetworkId(id));
        }
        world.engine(policy);
        world.listen(policy, flows);
        world.settle(policy);
        world
    }

    fn engine(&self, policy: &Policy) {
        if policy.host.engine.is_nftables() {
            self.host.feed("nft -f -", &engine_nft::rules(policy));
        }
        if policy.host.engine.is_nftables() || matches!(policy.host.engine, Engine::None(_)) {
            return;
        }
        for family in Family::BOTH {
            let rules =
                DockerSetup::of(policy).rules(&with_addresses(policy), family == Family::V6);
            let rules = format!("{rules}{}", guard(policy, &rules));
            self.host.feed(&self.restore(family), &rules);
        }
    }

    fn restore(&self, family: Family) -> String {
        format!("{}-{}-restore -w 10 --noflush", tool(family), self.variant)
    }

    /// Loads rules by hand and returns what iptables-save prints afterwards.
    pub fn load(&self, rules: &str, family: Family) -> String {
        self.host.feed(&self.restore(family), rules);
        self.host
            .ok(&format!("{}-{}-save", tool(family), self.variant))
    }

    pub fn settings(&self, bundle: &Bundle) {
        let settings = bundle.manifest().sysctls.iter();
        let here = settings.filter(|setting| {
            setting.key.starts_with("net.bridge.") || setting.key.ends_with("route_localnet")
        });
        for setting in here {
            let path = tidegate::deploy::settings::path(&setting.key).expect("a key");
            self.host.sysctl(&path, &setting.value);
        }
    }

    fn uplink(&self, policy: &Policy, flows: &[Flow]) {
        let (host, outside) = (&self.host, &self.outside);
        let peer = format!("peer name eth0 netns {}", outside.id);
        host.ok(&format!("ip link add eth0 type veth {peer}"));
        for (here, there) in HOST.iter().zip(["192.0.2.254/24", "2001:db8:ffff::fe/64"]) {
            let length = if here.contains(':') { 64 } else { 24 };
            host.ok(&format!("ip addr add {here}/{length} dev eth0"));
            outside.ok(&format!("ip addr add {there} dev eth0"));
        }
        host.ok("ip link set eth0 up");
        outside.ok("ip link set eth0 up");
        host.ok("ip route add default via 192.0.2.254");
        host.ok("ip route add default via 2001:db8:ffff::fe");
        // Containers are reached by way of the host, as over a router.
        let local = policy.networks.iter().filter(|network| network.local);
        for subnet in local.flat_map(|network| &network.subnets) {
            let here = HOST[usize::from(subnet.addr().is_ipv6())];
            outside.ok(&format!("ip route add {subnet} via {here}"));
        }
        for flow in flows {
            if let Origin::Outside(address) = flow.from {
                own(outside, address);
            }
        }
    }

    fn bridge(&self, policy: &Policy, id: NetworkId) {
        let network = &policy.networks[id.0];
        let bridge = &network.bridge.0;
        self.host.ok(&format!("ip link add {bridge} type bridge"));
        for subnet in &network.subnets {
            let gateway = gateway(subnet.network());
            let length = subnet.prefix_len();
            self.host
                .ok(&format!("ip addr add {gateway}/{length} dev {bridge}"));
        }
        self.host.ok(&format!("ip link set {bridge} up"));
        for (number, container) in policy.containers.iter().enumerate() {
            let place = container.attachments.iter().position(|at| at.network == id);
            if let Some(place) = place {
                self.attach(policy, number, id, place);
            }
        }
    }

    fn attach(&self, policy: &Policy, container: usize, id: NetworkId, place: usize) {
        let (network, inside) = (&policy.networks[id.0], &self.containers[container]);
        let (port, bridge) = (format!("v{container}-{}", id.0), &network.bridge.0);
        let peer = format!("peer name eth{place} netns {}", inside.id);
        self.host
            .ok(&format!("ip link add {port} type veth {peer}"));
        self.host
            .ok(&format!("ip link set {port} master {bridge} up"));
        for subnet in &network.subnets {
            let v6 = subnet.addr().is_ipv6();
            let Some(address) = address_of(policy, container, id, v6) else {
                continue;
            };
            let length = subnet.prefix_len();
            inside.ok(&format!("ip addr add {address}/{length} dev eth{place}"));
            inside.ok(&format!("ip link set eth{place} up"));
            if place == 0 {
                inside.ok(&format!(
                    "ip route add default via {}",
                    gateway(subnet.network())
                ));
            }
        }
    }

    /// Everything that a flow asks for listens everywhere, so that only rules can refuse it. But
    /// where our own rules translate, the host leaves published ports to them.
    fn listen(&self, policy: &Policy, flows: &[Flow]) {
        let mut ports: Vec<(u16, bool)> = flows
            .iter()
            .map(|flow| (flow.to.port(), flow.protocol == Protocol::Tcp))
            .collect();
        ports.extend(
            (80..=82)
                .chain([443, 5432, 8080, 22])
                .chain(9000..=9002)
                .map(|port| (port, true)),
        );
        ports.sort_unstable();
        ports.dedup();
        for place in self.containers.iter().chain([&self.host, &self.outside]) {
            let left = |port| place.id == self.host.id && no_engine::publishes(policy, port);
            for &(port, tcp) in ports.iter().filter(|(port, _)| !left(*port)) {
                place.run(move || {
                    if tcp {
                        serve_tcp(port);
                    } else {
                        serve_udp(port);
                    }
                });
            }
        }
    }

    /// Waits until every neighbour knows every other: IPv6 takes a while after a link comes up.
    fn settle(&self, policy: &Policy) {
        for here in HOST {
            let to = SocketAddr::new(here.parse().expect("an address"), 22);
            self.outside.run(move || until_connected(to));
        }
        for (id, container) in policy.containers.iter().enumerate() {
            for (at, v6) in container
                .attachments
                .iter()
                .flat_map(|at| [(at, false), (at, true)])
            {
                let address = address_of(policy, id, at.network, v6);
                if let Some(address) = address.filter(|_| policy.networks[at.network.0].local) {
                    self.host
                        .run(move || until_connected(SocketAddr::new(address, 22)));
                }
            }
        }
    }

    /// Tries one flow and tells whether it got an answer.
    pub fn try_flow(&self, policy: &Policy, flow: &Flow) -> bool {
        let (place, source) = match flow.from {
            Origin::Outside(address) => (&self.outside, Some(address)),
            Origin::Host => (&self.host, Some(anywhere(flow.to.ip()))),
            Origin::Container(id) => {
                let network = network_towards(policy, id, flow.to.ip());
                let address = address_of(policy, id, network, flow.to.is_ipv6());
                (&self.containers[id], address)
            }
        };
        let source = source.unwrap_or_else(|| panic!("{}: no source address", flow.text));
        let (to, tcp) = (flow.to, flow.protocol == Protocol::Tcp);
        place.run(move || {
            if tcp {
                connect(source, to)
            } else {
                ask(source, to)
            }
        })
    }
}

fn tool(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    }
}

fn gateway(base: IpAddr) -> IpAddr {
    match base {
        IpAddr::V4(base) => IpAddr::V4((u32::from(base) + 1).into()),
        IpAddr::V6(base) => IpAddr::V6((u128::from(base) + 1).into()),
    }
}

fn anywhere(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn own(place: &Namespace, address: IpAddr) {
    let length = if address.is_ipv4() { 32 } else { 128 };
    // The same client may stand in several lines.
    place.command(&format!("ip addr add {address}/{length} dev lo"), "");
}

pub(super) fn until_connected(to: SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect_timeout(&to, PATIENCE).is_err() {
        assert!(
            Instant::now() < deadline,
            "{to} does not answer before there are any rules"
        );
    }
}

pub(super) fn serve_tcp(port: u16) {
    let listener = TcpListener::bind(("::", port)).expect("the port is free");
    std::thread::spawn(move || listener.incoming().for_each(drop));
}

fn serve_udp(port: u16) {
    let socket = UdpSocket::bind(("::", port)).expect("the port is free");
    std::thread::spawn(move || {
        let mut byte = [0];
        while let Ok((_, from)) = socket.recv_from(&mut byte) {
            let _ = socket.send_to(&byte, from);
        }
    });
}

/// Connects with a source address of its own choice, as `TcpStream::connect_timeout` cannot.
pub(super) fn connect(source: IpAddr, to: SocketAddr) -> bool {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("a socket");
    socket
        .bind(&SocketAddr::new(source, 0).into())
        .expect("the address is ours");
    match socket.connect_timeout(&to.into(), PATIENCE) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::TimedOut => false,
        Err(error) => panic!("{to}: {error}, but everything listens and nothing rejects"),
    }
}

fn ask(source: IpAddr, to: SocketAddr) -> bool {
    let socket = UdpSocket::bind((source, 0)).expect("the address is ours");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.send_to(b"?", to).expect("a route");
    socket.recv_from(&mut [0]).is_ok()
}
