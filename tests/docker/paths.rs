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

/// What the policy lets by: by each way an address, to be served or refused.
fn every_way(lab: &Lab, host: &Host, served: &[&str], all: bool) {
    let expect = |client: &Client, address: &str, open: bool| {
        if open {
            client.is_served(address, "web");
        } else {
            client.is_refused(address);
        }
    };
    let itself = Client::of_namespace(host.path("/proc/1/ns/net"));
    let [peer, store, hidden] = ["peer", "store", "hidden"].map(|name| host.container(name));
    for &address in served {
        expect(&lab.office, address, true);
        expect(&lab.outside, address, all);
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
    for client in [&lab.office, &lab.outside, &peer, &store, &hidden] {
        expect(client, "192.0.2.1:8084", false);
    }
    // Past the published port: by a route, over the bridge, from another one.
    for address in ["172.28.0.10:80", "[fd00:28::10]:80"] {
        for client in [&lab.office, &lab.outside, &peer, &store] {
            expect(client, address, false);
        }
    }
    hidden.is_refused("192.0.2.10:80");
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
