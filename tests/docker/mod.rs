//! What the rules do to real traffic on hosts with a real Docker Engine.
//!
//! Each test shows first that the engine alone lets the client in that the policy keeps out.

mod booted;
mod cut;
mod doctor;
mod drift;
mod engine;
mod facts;
mod firewalls;
mod flushes;
mod inventory;
mod kernel;
mod late_engine;
mod limits;
mod links;
mod no_engine;
mod order;
mod packages;
mod pair;
mod paths;
mod published;
mod reboot;
mod restarts;
mod routed;
mod seeds;
mod stand_in;
mod storm;
mod trial;
mod unaided;
mod units;
mod watch;

use crate::support::lab::Host;

/// Where the tests put policies on the host.
const POLICY: &str = "/etc/tidegate/shop.tide";
const SHOP: &str = include_str!("shop.tide");

/// Port 8080 of the host, in both families. An IPv6 client reaches it through the userland proxy.
const WEB: [&str; 2] = ["192.0.2.1:8080", "[2001:db8::1]:8080"];
const BLOG: [&str; 2] = ["192.0.2.1:8090", "[2001:db8::1]:8090"];

const RUN: &str = "docker run -d --stop-timeout 1 --restart always";

/// Makes the network of `shop.tide`.
fn make_network(host: &Host) {
    make_network_of(host, "shop", 28);
}

/// Makes a network with subnets that have `number` in them.
fn make_network_of(host: &Host, name: &str, number: u8) {
    host.run(&format!(
        "docker network create --ipv6 --subnet 172.{number}.0.0/16 --subnet fd00:{number}::/64 \
         -o com.docker.network.bridge.name=br-{name} \
         -o com.docker.network.bridge.enable_icc=false {name}"
    ));
}

/// Starts one container of `shop.tide` with the last part of its addresses, or with any.
fn start(host: &Host, name: &str, last: Option<u8>, rest: &str) {
    let at = last.map_or_else(String::new, |last| {
        format!("--ip 172.28.0.{last} --ip6 fd00:28::{last}")
    });
    host.run(&format!(
        "{RUN} --name {name} -h {name} --network shop {at} {rest}"
    ));
}

fn start_web(host: &Host) {
    start(host, "web", Some(10), "-p 8080:80 box 80 81");
}

fn start_db(host: &Host) {
    start(host, "db", Some(20), "box 5432 5433");
}

fn start_blog(host: &Host) {
    start(host, "blog", None, "-p 8090:80 box");
}

/// Puts `policy` in force on the host.
fn apply(host: &Host, policy: &str) {
    host.put(POLICY, policy);
    host.run(&format!("tidegate apply {POLICY}"));
}
