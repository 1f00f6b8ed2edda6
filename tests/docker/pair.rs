//! Two hosts with one policy: routing between the networks of two hosts, a case as old as Docker.

use super::RUN;
use crate::support::lab::{Host, Pair, docker_hosts};

const POLICY: &str = include_str!("pair.tide");

/// Starts an engine, whose own default network is out of the way, with two containers at .10 and .11.
fn start(host: &Host, network: &str, subnet: &str, containers: [(&str, &str); 2]) {
    host.run(&format!(
        "engine start {BIP} && docker network create --subnet {subnet}.0.0/16 \
         -o com.docker.network.bridge.name=br-{network} {network}"
    ));
    for ((name, rest), last) in containers.iter().zip(10..) {
        host.run(&format!(
            "{RUN} --name {name} -h {name} --network {network} --ip {subnet}.0.{last} {rest}"
        ));
    }
}

const BIP: &str = "--bip 172.30.0.1/16";

fn pair() -> Option<Pair> {
    let pair = docker_hosts()?;
    let (web, blog) = (("web", "box 22 80"), ("blog", "box 22"));
    start(&pair.alpha, "shop", "172.17", [web, blog]);
    let (store, depot) = (
        ("store", "-p 8080:8080 box 5432 5433 8080"),
        ("depot", "box 22"),
    );
    start(&pair.beta, "stock", "172.18", [store, depot]);
    Some(pair)
}

fn apply(host: &Host, name: &str) {
    host.put("/etc/tidegate/pair.tide", POLICY);
    host.run(&format!(
        "tidegate apply --host {name} /etc/tidegate/pair.tide"
    ));
}

/// Exactly what the policy allows, each seen on the other host with its own address.
fn only_the_policy_holds(pair: &Pair) {
    let [web, blog] = ["web", "blog"].map(|name| pair.alpha.container(name));
    let [store, depot] = ["store", "depot"].map(|name| pair.beta.container(name));
    web.is_served("172.18.0.10:5432", "store");
    let listener = store.listen(7000);
    assert_eq!(web.seen_by(&listener, "172.18.0.10:7000"), "172.17.0.10");
    depot.is_served("172.17.0.10:22", "web");
    web.is_refused("172.18.0.10:5433");
    web.is_refused("172.18.0.11:22");
    blog.is_refused("172.18.0.10:5432");
    depot.is_refused("172.17.0.10:80");
    depot.is_refused("172.17.0.11:22");
    store.is_refused("172.17.0.10:22");
    // The router is outside, and knows the way to every container.
    pair.router.is_served("192.168.8.1:8080", "store");
    pair.router.is_refused("172.18.0.10:5432");
    pair.router.is_refused("172.17.0.10:22");
}

#[test]
fn containers_of_two_hosts_reach_what_the_policy_allows_as_themselves() {
    let Some(pair) = pair() else { return };
    // Neither engine lets the other's containers in to what is not published, nor sends its own
    // with their own addresses.
    pair.alpha.container("web").is_refused("172.18.0.10:5432");
    apply(&pair.alpha, "alpha");
    apply(&pair.beta, "beta");
    only_the_policy_holds(&pair);
    for host in [&pair.alpha, &pair.beta] {
        host.run("tidegate drift");
    }
    for host in [&pair.alpha, &pair.beta] {
        // The unit of that name does the latter after the engine's start.
        host.run(&format!(
            "engine restart {BIP} && tidegate apply --boot && tidegate drift"
        ));
    }
    only_the_policy_holds(&pair);
}
