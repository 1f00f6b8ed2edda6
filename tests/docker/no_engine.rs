//! An engine that leaves the firewall alone: publishing, masquerade and isolation are ours.

use super::{apply, make_network, make_network_of, start, start_db};
use crate::support::client::{Answer, Client};
use crate::support::lab::{Host, Lab, docker_host};

const POLICY: &str = include_str!("no-engine.tide");
/// 27 and newer write IPv6 rules unless the second is given, too.
const ALONE: &str = "--iptables=false --ip6tables=false";

const WEB: [&str; 2] = ["192.0.2.1:8080", "[2001:db8::1]:8080"];
const THIRD: [&str; 2] = ["192.0.2.1:8183", "[2001:db8::1]:8183"];
/// Ports of web where nothing listens until a test does.
const FREE: [&str; 2] = ["192.0.2.1:8090", "[2001:db8::1]:8090"];
const FREE_UDP: [&str; 2] = ["192.0.2.1:5353", "[2001:db8::1]:5353"];

/// Starts an engine that writes no rules, with everything that the policy names.
fn world(options: &str) -> Option<(Lab, Host)> {
    let (lab, host) = docker_host()?;
    host.run(&format!("engine start {ALONE} {options}"));
    make_network(&host);
    make_network_of(&host, "stock", 29);
    let ports = "-p 8080:80 -p 8181-8183:81-83 -p 127.0.0.1:8084:84 -p 192.0.2.1:85:85 \
                 -p 8090:90 -p 5353:53/udp";
    start(
        &host,
        "web",
        Some(10),
        &format!("{ports} box 80 81 82 83 84 85"),
    );
    start_db(&host);
    host.run(&format!(
        "{} --name store -h store --network stock --ip 172.29.0.20 --ip6 fd00:29::20 \
         -p 7000:7000 box 5432 7000",
        super::RUN
    ));
    for family in ["iptables", "ip6tables"] {
        let rules = host.run(&format!("{family}-save"));
        assert!(!rules.contains("-A "), "the engine wrote rules:\n{rules}");
    }
    Some((lab, host))
}

fn published_ports_serve_whom_the_policy_names(lab: &Lab) {
    for address in WEB.into_iter().chain(THIRD) {
        lab.office.is_served(address, "web");
        lab.outside.is_refused(address);
    }
    lab.outside.is_served("192.0.2.1:85", "web");
    lab.outside.is_refused("[2001:db8::1]:85");
    for address in ["192.0.2.1:7000", "[2001:db8::1]:7000"] {
        lab.office.is_refused(address);
    }
    for address in ["172.28.0.10:80", "[fd00:28::10]:80", "172.28.0.20:5432"] {
        lab.office.is_refused(address);
    }
}

/// Behind a proxy it would be the bridge's address.
fn containers_see_their_clients_addresses(lab: &Lab, web: &Client) {
    let own = ["192.0.2.10", "2001:db8::10"];
    let listener = web.listen(90);
    for (address, own) in FREE.into_iter().zip(own) {
        assert_eq!(lab.office.seen_by(&listener, address), own);
        lab.outside.is_refused(address);
    }
    let socket = web.receive(53);
    for (address, own) in FREE_UDP.into_iter().zip(own) {
        let seen = lab.office.datagram_seen_by(&socket, address);
        assert_eq!(seen.as_deref(), Some(own));
        assert_eq!(lab.outside.datagram_seen_by(&socket, address), None);
    }
}

fn containers_go_out_with_the_hosts_address(lab: &Lab, web: &Client) {
    let listener = lab.office.listen(9999);
    let ways = [
        ("192.0.2.10:9999", "192.0.2.1"),
        ("[2001:db8::10]:9999", "2001:db8::1"),
    ];
    for (address, host) in ways {
        assert_eq!(web.seen_by(&listener, address), host);
    }
}

/// By way of the host's address, and by links; nothing else.
fn containers_reach_each_other_as_the_policy_says(host: &Host) {
    let [web, db, store] = ["web", "db", "store"].map(|name| host.container(name));
    for address in WEB {
        db.is_served(address, "web");
        store.is_refused(address);
    }
    for address in ["192.0.2.1:7000", "[2001:db8::1]:7000"] {
        web.is_served(address, "store");
        db.is_refused(address);
    }
    for (name, address) in [
        ("db", "172.28.0.20:5432"),
        ("db", "[fd00:28::20]:5432"),
        ("store", "172.29.0.20:5432"),
        ("store", "[fd00:29::20]:5432"),
    ] {
        web.is_served(address, name);
    }
    for address in ["172.28.0.20:5433", "172.29.0.20:7000"] {
        web.is_refused(address);
    }
    for address in ["172.28.0.10:81", "[fd00:28::10]:81"] {
        db.is_refused(address);
        store.is_refused(address);
    }
}

fn the_host_reaches_published_ports(host: &Host) {
    let itself = Client::of_namespace(host.path("/proc/1/ns/net"));
    for address in [
        "127.0.0.1:8080",
        "127.0.0.1:8084",
        "127.0.0.1:8182",
        "192.0.2.1:8080",
    ] {
        itself.is_served(address, "web");
    }
    itself.is_served("[2001:db8::1]:8080", "web");
}

fn all_holds(lab: &Lab, host: &Host) {
    published_ports_serve_whom_the_policy_names(lab);
    let web = host.container("web");
    containers_see_their_clients_addresses(lab, &web);
    containers_go_out_with_the_hosts_address(lab, &web);
    containers_reach_each_other_as_the_policy_says(host);
    the_host_reaches_published_ports(host);
}

#[test]
fn without_the_engines_rules_ours_publish_and_close() {
    let Some((lab, host)) = world("") else { return };
    // The proxy alone serves everybody, and nothing leaves the host with an address that comes back.
    for address in WEB {
        lab.outside.is_served(address, "web");
    }
    apply(&host, POLICY);
    all_holds(&lab, &host);

    host.run(&format!("engine restart {ALONE}"));
    all_holds(&lab, &host);
    host.run("tidegate drift");
}

#[test]
fn without_a_proxy_either_ours_publish_and_close() {
    let Some((lab, host)) = world("--userland-proxy=false") else {
        return;
    };
    // The engine keeps the port for itself, and nobody serves it.
    assert_ne!(lab.outside.ask(WEB[0]), Answer::From("web".to_owned()));
    apply(&host, POLICY);
    all_holds(&lab, &host);
    // Its port of the bridge sends back by the way it came, which the engine sees to without a proxy.
    let open = POLICY.replace("from office, db", "from office, db, web");
    apply(&host, &open);
    for address in WEB {
        host.container("web").is_served(address, "web");
    }
}
