//! Every way to a published port: from outside, from the host and from containers, by the engine's
//! DNAT and by its proxy. Who gets through is the policy's word on each of them.

use super::{RUN, WEB, apply, make_network, make_network_of, start};
use crate::support::client::{Answer, Client};
use crate::support::lab::{Host, Lab, docker_host};

const POLICY: &str = include_str!("paths.tide");

fn world(options: &str) -> Option<(Lab, Host)> {
    let (lab, host) = docker_host()?;
    host.run(&format!("engine start {options}"));
    make_network(&host);
    make_network_of(&host, "stock", 29);
    host.run(
        "docker network create --internal --subnet 172.30.0.0/16 \
         -o com.docker.network.bridge.name=br-vault vault",
    );
    start(
        &host,
        "web",
        Some(10),
        "-p 8080:80 -p 127.0.0.1:8084:84 box 80 84",
    );
    start(&host, "peer", Some(20), "box");
    for (name, network, at) in [
        ("store", "stock", "--ip 172.29.0.20 --ip6 fd00:29::20"),
        ("hidden", "vault", "--ip 172.30.0.20"),
    ] {
        host.run(&format!(
            "{RUN} --name {name} -h {name} --network {network} {at} box"
        ));
    }
    Some((lab, host))
}

/// Follows the packet through the rules that are there, which must say what the kernel does.
fn trace(host: &Host, from: &str, address: &str) -> Result<String, String> {
    let (to, port) = address.rsplit_once(':').expect("a port");
    let to = to.trim_matches(['[', ']']);
    let output = host.attempt(&format!(
        "tidegate trace --live --from {from} --to {to} --port {port}/tcp --why"
    ));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.code() {
        Some(0) => Ok(text),
        Some(1) => Err(text),
        _ => panic!("{output:?}"),
    }
}

/// What the policy lets by: by each way an address, to be served or refused.
fn every_way(lab: &Lab, host: &Host, served: &[&str], all: bool) {
    let expect = |(client, own): &(Client, [&str; 2]), address: &str, open: bool| {
        if open {
            client.is_served(address, "web");
        } else {
            client.is_refused(address);
        }
        let traced = trace(host, own[usize::from(address.starts_with('['))], address);
        assert_eq!(traced.is_ok(), open, "{address} of {own:?}: {traced:?}");
    };
    let itself = (
        Client::of_namespace(host.path("/proc/1/ns/net")),
        ["host", "host"],
    );
    let peer = (host.container("peer"), ["172.28.0.20", "fd00:28::20"]);
    let store = (host.container("store"), ["172.29.0.20", "fd00:29::20"]);
    let hidden = (host.container("hidden"), ["172.30.0.20", ""]);
    let office = (lab.office.clone(), ["192.0.2.10", "2001:db8::10"]);
    let outside = (lab.outside.clone(), ["192.0.2.66", "2001:db8::66"]);
    for &address in served {
        expect(&office, address, true);
        expect(&outside, address, all);
        expect(&itself, address, true);
        expect(&peer, address, all);
        expect(&store, address, all);
    }
    // The gateways are addresses of the host, too.
    expect(&peer, "172.28.0.1:8080", all);
    expect(&store, "172.29.0.1:8080", all);
    expect(&store, "172.28.0.1:8080", all);
    expect(&hidden, "172.30.0.1:8080", all);
    // A port of loopback is the host's alone.
    for address in ["127.0.0.1:8080", "127.0.0.1:8084"] {
        expect(&itself, address, true);
    }
    for client in [&office, &outside, &peer, &store, &hidden] {
        // Nobody listens there; the rules need not say so.
        client.0.is_refused("192.0.2.1:8084");
    }
    // Past the published port: by a route, over the bridge, from another one.
    for address in ["172.28.0.10:80", "[fd00:28::10]:80"] {
        for client in [&office, &outside, &peer, &store] {
            expect(client, address, false);
        }
    }
    hidden.0.is_refused("192.0.2.10:80");
}

fn both_audiences(options: &str) {
    let Some((lab, host)) = world(options) else {
        return;
    };
    lab.outside.is_served(WEB[0], "web");
    // Without proxy and IPv6 rules, as up to 26, nothing leads there in IPv6.
    let is_served = |address: &&str| lab.outside.ask(address) == Answer::From("web".to_owned());
    let served: Vec<&str> = WEB.into_iter().filter(is_served).collect();
    for (audience, all) in [("office", false), ("any", true)] {
        apply(&host, &POLICY.replace("AUDIENCE", audience));
        every_way(&lab, &host, &served, all);
    }
}

#[test]
fn every_way_to_a_published_port_is_the_policys() {
    both_audiences("");
}

#[test]
fn every_way_is_the_policys_without_the_proxy() {
    both_audiences("--userland-proxy=false");
}
