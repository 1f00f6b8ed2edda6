//! Containers that are reached at their own address, from another host and from another network.

use std::net::TcpListener;

use super::{RUN, apply, make_network, make_network_of, start, start_web};
use crate::support::client::Client;
use crate::support::lab::{Host, Lab, docker_host};
use crate::support::ns::Namespace;

const MALL: &str = include_str!("mall.tide");

/// The store's own addresses, and web's in the same family.
const STORE: [(&str, &str); 2] = [
    ("172.29.0.20", "172.28.0.10"),
    ("[fd00:29::20]", "fd00:28::10"),
];

fn start_store(host: &Host) {
    host.run(&format!(
        "{RUN} --name store -h store --network stock --ip 172.29.0.20 --ip6 fd00:29::20 \
         box 5432 5433 9187"
    ));
}

fn mall() -> Option<(Lab, Host)> {
    let (lab, host) = docker_host()?;
    host.run("engine start");
    make_network(&host);
    make_network_of(&host, "stock", 29);
    start_web(&host);
    start(&host, "blog", None, "box");
    start_store(&host);
    Some((lab, host))
}

fn only_the_office_sees_the_figures(lab: &Lab) {
    for (store, _) in STORE {
        lab.office.is_served(&format!("{store}:9187"), "store");
        lab.outside.is_refused(&format!("{store}:9187"));
        lab.office.is_refused(&format!("{store}:5432"));
    }
}

#[test]
fn a_trusted_client_reaches_a_container_at_its_own_address() {
    let Some((lab, host)) = mall() else { return };
    // No engine opens a port that is not published, where it has rules at all.
    lab.office.is_refused("172.29.0.20:9187");
    apply(&host, MALL);
    only_the_office_sees_the_figures(&lab);

    host.run("engine restart");
    only_the_office_sees_the_figures(&lab);
    // The engine writes the rules of a container when it starts, after the policy's.
    host.run("docker rm -f store");
    start_store(&host);
    only_the_office_sees_the_figures(&lab);
    host.run("tidegate drift");

    // It is the source that decides: another one gets in as soon as the policy names it.
    apply(&host, &MALL.replace("from office", "from any"));
    for (store, _) in STORE {
        lab.outside.is_served(&format!("{store}:9187"), "store");
        lab.outside.is_refused(&format!("{store}:5432"));
    }
}

/// Web reaches two ports of the store and is seen as itself; nobody else does.
fn only_web_reaches_the_store(lab: &Lab, host: &Host) {
    let container = |name| host.container(name);
    let (web, blog, store) = (container("web"), container("blog"), container("store"));
    let listener = store.listen(7000);
    for (address, own) in STORE {
        web.is_served(&format!("{address}:5432"), "store");
        is_seen_as(&web, &listener, address, own);
        web.is_refused(&format!("{address}:5433"));
        web.is_refused(&format!("{address}:9187"));
        blog.is_refused(&format!("{address}:5432"));
        lab.outside.is_refused(&format!("{address}:5432"));
    }
    for address in ["172.28.0.10:80", "[fd00:28::10]:80"] {
        store.is_refused(address);
    }
}

fn is_seen_as(client: &Client, listener: &TcpListener, address: &str, own: &str) {
    assert_eq!(client.seen_by(listener, &format!("{address}:7000")), own);
}

#[test]
fn a_link_leads_to_another_network_and_keeps_its_source() {
    let Some((lab, host)) = mall() else { return };
    // Engines keep networks apart.
    host.container("web").is_refused("172.29.0.20:5432");
    apply(&host, MALL);
    only_web_reaches_the_store(&lab, &host);

    // What the engine writes for other networks changes nothing for these.
    host.run("engine restart && docker network create other");
    only_web_reaches_the_store(&lab, &host);
    host.run("tidegate drift");

    // A network that is made after the policy brings a masquerade that comes before the policy's
    // exception from it: the link is open, but under the wrong source, and that is drift.
    host.run("docker rm -f store web blog && docker network rm shop");
    make_network(&host);
    start_web(&host);
    start(&host, "blog", None, "box");
    start_store(&host);
    let (web, store) = (host.container("web"), host.container("store"));
    web.is_served("172.29.0.20:5432", "store");
    is_seen_as(&web, &store.listen(7000), "172.29.0.20", "172.29.0.1");
    let drift = host.attempt("tidegate drift");
    assert_eq!(drift.status.code(), Some(1), "{drift:?}");
    host.run("tidegate drift --repair");
    only_web_reaches_the_store(&lab, &host);
}

/// Puts a client behind the office, over a link that takes only small packets from there. Both ends
/// of a connection to it learn that from the office, by ICMP.
pub(super) fn far_from(office: &Client, host: &Host) -> (Namespace, Client) {
    let far = Namespace::new();
    let process = std::process::id();
    let net = format!("/proc/{process}/task/{}/ns/net", far.id);
    let client = Client::of_namespace(net.into());
    office.run(&format!(
        "ip link add far mtu 1280 type veth peer name eth1 mtu 1500
         ip addr add 198.51.100.1/24 dev far && ip addr add 2001:db8:1::1/64 dev far nodad
         ip link set far up && ip link set eth1 netns {}
         sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
        far.id
    ));
    client.run(
        "ip addr add 198.51.100.10/24 dev eth1 && ip addr add 2001:db8:1::10/64 dev eth1 nodad
         ip link set eth1 up
         ip route add default via 198.51.100.1 && ip route add default via 2001:db8:1::1",
    );
    host.run(
        "ip route add 198.51.100.0/24 via 192.0.2.10
         ip route add 2001:db8:1::/64 via 2001:db8::10",
    );
    (far, client)
}

#[test]
fn a_routed_container_learns_how_large_packets_may_be() {
    let Some((lab, host)) = mall() else { return };
    let (_far, client) = far_from(&lab.office, &host);
    let far = "198.51.100.10, 2001:db8:1::10";
    apply(&host, &MALL.replace("192.0.2.10, 2001:db8::10", far));
    let (words, page) = (4000, "/www/index.html");
    host.run(&format!(
        "docker exec store busybox sh -c 'busybox yes store | busybox head -n {words} >{page}'"
    ));
    let text = vec!["store"; words].join("\n");
    for (store, _) in STORE {
        client.is_served(&format!("{store}:9187"), &text);
        lab.outside.is_refused(&format!("{store}:9187"));
    }
}
