//! Open connections through published ports, when a new policy takes away what they rely on.

use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::booted::say;
use super::{SHOP, WEB, apply, make_network, start, start_db};
use crate::support::client::{Client, is_answered};
use crate::support::lab::{Host, Lab, docker_host};

const UDP: [&str; 2] = ["192.0.2.1:8053", "[2001:db8::1]:8053"];

/// Whom the policy names: the office, or the one that is called outside in other tests.
fn policy(who: &str) -> String {
    let more = "trust partner { 192.0.2.66, 2001:db8::66 }\ntrust office {";
    let kept: Vec<_> = SHOP
        .lines()
        .filter(|line| !line.starts_with("expect"))
        .collect();
    kept.join("\n").replace("trust office {", more).replace(
        "  expose 80/tcp as 8080 from office",
        &format!("  expose 80/tcp as 8080 from {who}\n  expose 53/udp as 8053 from {who}"),
    ) + "\n"
}

/// Connections to the published ports that were made while they were allowed.
struct Held {
    tcp: Vec<TcpStream>,
    udp: Vec<UdpSocket>,
}

impl Held {
    #[track_caller]
    fn by(client: &Client, families: usize) -> Held {
        for address in WEB.iter().take(families) {
            client.is_served(address, "web");
        }
        let tcp = WEB.iter().take(families);
        let tcp = tcp.map(|address| client.connect(address).expect(address));
        let udp = UDP.iter().take(families).map(|address| {
            client.is_served(&format!("udp {address}"), "web");
            let socket = client.flow(address);
            assert!(hears(&socket), "{address}");
            socket
        });
        Held {
            tcp: tcp.collect(),
            udp: udp.collect(),
        }
    }

    #[track_caller]
    fn live(self) {
        for socket in &self.udp {
            assert!(hears(socket), "{socket:?} lives on");
        }
        for stream in self.tcp {
            let peer = stream.peer_addr();
            assert!(is_answered(stream), "{peer:?} lives on");
        }
    }

    #[track_caller]
    fn are_dead(self) {
        for socket in &self.udp {
            assert!(!hears(socket), "{socket:?} goes on");
        }
        for stream in self.tcp {
            let peer = stream.peer_addr();
            assert!(!is_answered(stream), "{peer:?} goes on");
        }
    }
}

fn hears(socket: &UdpSocket) -> bool {
    let sent = socket.send(b"asked");
    sent.and_then(|_| socket.recv(&mut [0; 64])).is_ok()
}

fn only_what_lost_its_permission_ends(lab: &Lab, host: &Host, families: usize) {
    make_network(host);
    let ports = "-v /usr:/usr:ro -p 8080:80 -p 8053:53/udp box 80 53/udp";
    start(host, "web", Some(10), ports);
    start_db(host);
    apply(host, &policy("office, partner"));
    let db = "172.28.0.20:5432";
    host.container("web").is_served(db, "db");
    let inside = host.container("web").connect(db).expect("linked");
    let office = Held::by(&lab.office, families);
    let partner = Held::by(&lab.outside, families);
    host.put("/etc/tidegate/shop.tide", &policy("partner"));
    let begin = Instant::now();
    let text = host.run("tidegate apply /etc/tidegate/shop.tide 2>&1");
    let took = begin.elapsed();
    assert!(text.contains("were cut that the policy"), "{text}");
    office.are_dead();
    partner.live();
    assert!(is_answered(inside), "container to container lives on");
    say(&format!(
        "{families} families: apply took {} ms, held: {} of the office cut, {} of others live",
        took.as_millis(),
        2 * families,
        2 * families + 1
    ));
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// IPv6 comes through the proxy where the engine is older than 27.
#[test]
fn what_the_office_held_through_published_ports_ends() {
    let Some((lab, host)) = docker_host() else {
        return;
    };
    host.run("engine start");
    only_what_lost_its_permission_ends(&lab, &host, 2);
}

#[test]
fn without_the_proxy_it_ends_as_well() {
    let Some((lab, host)) = docker_host() else {
        return;
    };
    host.run("engine start --userland-proxy=false");
    let families = if host.engine() < 27 { 1 } else { 2 };
    only_what_lost_its_permission_ends(&lab, &host, families);
}
