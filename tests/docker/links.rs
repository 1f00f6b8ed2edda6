//! Containers that reach each other by link and in no other way.

use super::{RUN, SHOP, apply, make_network, start_blog, start_db, start_web};
use crate::support::lab::docker_host;

#[test]
fn a_link_opens_its_port_on_a_network_with_icc_off() {
    let Some((lab, host)) = docker_host() else {
        return;
    };
    host.run("engine start");
    make_network(&host);
    start_web(&host);
    start_db(&host);
    start_blog(&host);
    let (web, blog) = (host.container("web"), host.container("blog"));
    // Engines without bridge filtering keep nobody apart; 28 turns it on, in both families.
    for family in ["iptables", "ip6tables"] {
        host.run(&format!("sysctl -qw net.bridge.bridge-nf-call-{family}=0"));
    }
    web.is_served("172.28.0.20:5433", "db");
    web.is_served("[fd00:28::20]:5433", "db");

    apply(&host, SHOP);
    for (open, closed) in [
        ("172.28.0.20:5432", "172.28.0.20:5433"),
        ("[fd00:28::20]:5432", "[fd00:28::20]:5433"),
    ] {
        web.is_served(open, "db");
        web.is_refused(closed);
        blog.is_refused(open);
        lab.outside.is_refused(open);
    }
    host.container("db").is_refused("172.28.0.10:80");

    host.run("engine restart");
    let (web, blog) = (host.container("web"), host.container("blog"));
    web.is_served("172.28.0.20:5432", "db");
    web.is_refused("172.28.0.20:5433");
    blog.is_refused("172.28.0.20:5432");
}

#[test]
fn a_link_opens_its_port_where_the_engine_runs_with_icc_off() {
    let Some((lab, host)) = docker_host() else {
        return;
    };
    host.run("engine start");
    for (name, arguments) in [
        ("web", "-p 8080:80 box"),
        ("db", "box 5432 5433"),
        ("aux", "box"),
    ] {
        host.run(&format!("{RUN} --name {name} -h {name} {arguments}"));
    }
    let web = host.container("web");
    web.is_served("172.17.0.3:5433", "db");
    host.run("docker update --restart no aux && docker stop aux");
    host.run("engine restart --icc=false");
    host.run("docker start aux");
    // Order of start is not order of address: each must be where the policy says it is.
    let addresses = "docker inspect -f '{{.NetworkSettings.IPAddress}}' web db aux";
    let (addresses, web) = (host.run(addresses), host.container("web"));
    let [at_web, db, aux] = addresses.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("three addresses: {addresses}");
    };
    web.is_refused(&format!("{db}:5432"));

    let policy = include_str!("bridge.tide");
    let policy = policy.replace("AT_WEB", at_web).replace("AT_DB", db);
    apply(&host, &policy.replace("AT_AUX", aux));
    web.is_served(&format!("{db}:5432"), "db");
    web.is_refused(&format!("{db}:5433"));
    web.is_refused(&format!("{aux}:80"));
    host.container("aux").is_refused(&format!("{db}:5432"));
    lab.outside.is_served("192.0.2.1:8080", "web");
}
