//! The machine on which worlds are played, one after the other.

use std::net::{IpAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread;

use super::judge::{AWAY, OFFICE, Publishing, SSH, Senders};
use super::oracle::Sender;
use super::play::Play;
use super::truth::{Port, Truth};
use super::world::World;
use crate::support::client::Client;
use crate::support::lab::{Host, Lab, docker_host};
use crate::support::ns::Namespace;

/// Somebody behind an interface that no policy names.
const LAN: [&str; 2] = ["10.20.0.66", "2001:db8:20::66"];
/// What must be put back between two worlds beside the rules.
const SETTINGS: &str = "net.ipv4.ip_forward net.ipv4.conf.all.forwarding \
     net.ipv4.conf.default.forwarding net.ipv6.conf.all.forwarding net.ipv6.conf.default.forwarding \
     net.ipv4.conf.all.rp_filter net.ipv4.conf.all.route_localnet \
     net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables";

pub(super) struct Stage {
    pub(super) host: Host,
    pub(super) engine: String,
    wires: Vec<(Sender, Client)>,
    _lab: Lab,
    _lan: Namespace,
}

impl Stage {
    /// Starts an engine, with options that dockerd takes; nothing where this machine cannot.
    pub(super) fn open(engine: &str) -> Option<Self> {
        let (lab, host) = docker_host()?;
        host.run(&format!("engine start {engine}"));
        let machine = Client::of_namespace(host.path("/proc/1/ns/net"));
        let (lan, client) = plug_lan(&machine);
        answer(machine.listen(SSH));
        answer(lab.office.listen(AWAY));
        let wires = vec![
            (wire("office", "eth0", OFFICE), lab.office.clone()),
            (
                wire("outside", "eth0", ["192.0.2.66", "2001:db8::66"]),
                lab.outside.clone(),
            ),
            (wire("lan", "eth1", LAN), client),
            (Sender::Host, machine),
        ];
        let engine = engine.to_owned();
        let stage = Stage {
            host,
            engine,
            wires,
            _lab: lab,
            _lan: lan,
        };
        stage.host.run(&format!(
            "iptables-save >/run/clean.v4; ip6tables-save >/run/clean.v6
             sysctl {SETTINGS} >/run/clean.conf"
        ));
        Some(stage)
    }

    /// Plays a world, and returns what was wrong in it.
    pub(super) fn play(&self, world: &World) -> Vec<String> {
        let mut play = Play::new(self, world);
        let played = catch_unwind(AssertUnwindSafe(|| play.all()));
        let mut failures = std::mem::take(&mut play.failures);
        if let Err(panic) = played {
            let text = panic
                .downcast_ref::<String>()
                .map_or("it panicked", String::as_str);
            failures.push(format!("at `{}`: {text}", play.step));
        }
        if !play.refused.is_empty() {
            eprintln!("{}: {:?}", world.name, play.refused);
        }
        self.clear();
        failures
    }

    /// Takes away what a world has left.
    fn clear(&self) {
        self.host.run(
            "all=$(docker ps -aq); [ -z \"$all\" ] || docker rm -f $all >/dev/null
             docker network prune -f >/dev/null
             tidegate uninstall >/dev/null 2>&1 || :
             rm -rf /etc/tidegate /var/lib/tidegate /run/tidegate
             nft delete table bridge tidegate 2>/dev/null || :
             for table in filter nat mangle raw; do
                 for tool in iptables ip6tables; do $tool -t $table -F; $tool -t $table -X; done
             done 2>/dev/null || :
             iptables-restore /run/clean.v4; ip6tables-restore /run/clean.v6
             sysctl -qp /run/clean.conf",
        );
    }

    pub(super) fn publishing(&self) -> Publishing {
        Publishing {
            has_proxy: !self.engine.contains("--userland-proxy=false"),
            has_ip6tables: self.engine.contains("--ip6tables") || self.host.engine() >= 27,
        }
    }

    /// Returns everybody who can connect now.
    pub(super) fn senders(&self, truth: &Truth) -> Senders {
        let mut senders = self.wires.clone();
        for container in &truth.containers {
            let client = self.host.container(&container.name);
            senders.push((Sender::Container(container.name.clone()), client));
        }
        senders
    }

    pub(super) fn client(&self, name: &str) -> Client {
        let mut wires = self.wires.iter();
        let wire = wires.find(|(sender, _)| sender.to_string() == name);
        wire.map_or_else(|| self.host.container(name), |(_, client)| client.clone())
    }

    /// Waits until a container answers on its ports. No rule of the host's concerns its own loopback.
    pub(super) fn wait_for(&self, name: &str, ports: &[Port]) {
        let own = self.host.container(name);
        for port in ports {
            let udp = if port.is_udp { "udp " } else { "" };
            own.is_served(&format!("{udp}127.0.0.1:{}", port.number), name);
        }
    }
}

fn wire(name: &'static str, interface: &'static str, addresses: [&str; 2]) -> Sender {
    Sender::Wire {
        name,
        interface,
        addresses: addresses.map(|address| address.parse::<IpAddr>().expect("an address")),
    }
}

/// Joins somebody to the host by a second interface.
fn plug_lan(machine: &Client) -> (Namespace, Client) {
    let lan = Namespace::new();
    let net = format!("/proc/{}/task/{}/ns/net", std::process::id(), lan.id);
    let client = Client::of_namespace(PathBuf::from(net));
    machine.run(&format!(
        "ip link add eth1 type veth peer name eth0 netns {}
         ip addr add 10.20.0.1/24 dev eth1; ip addr add 2001:db8:20::1/64 dev eth1 nodad
         ip link set eth1 up",
        lan.id
    ));
    client.run(&format!(
        "ip addr add {}/24 dev eth0; ip addr add {}/64 dev eth0 nodad; ip link set eth0 up
         ip route add default via 10.20.0.1; ip route add default via 2001:db8:20::1",
        LAN[0], LAN[1]
    ));
    (lan, client)
}

/// Takes connections and ends them, as long as the process lives.
fn answer(listener: TcpListener) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream);
        }
    });
}
