//! Published ports: who the policy names is served, nobody else is.

use super::routed::far_from;
use super::{BLOG, POLICY, SHOP, WEB, apply, make_network, start_blog, start_db, start_web};
use crate::support::lab::{Host, Lab, docker_host};

/// The container's own addresses, which its clients can route to.
const ROUTED: [&str; 4] = [
    "172.28.0.10:80",
    "[fd00:28::10]:80",
    "[fd00:28::10]:81",
    "[fd00:28::20]:5432",
];

fn only_the_office_is_served(lab: &Lab, name: &str, addresses: [&str; 2]) {
    for address in addresses {
        lab.office.is_served(address, name);
        lab.outside.is_refused(address);
    }
}

fn shop() -> Option<(Lab, Host)> {
    let (lab, host) = docker_host()?;
    host.run(&format!("engine start {}", host.direct_routing()));
    make_network(&host);
    start_web(&host);
    for address in WEB {
        lab.outside.is_served(address, "web");
    }
    Some((lab, host))
}

#[test]
fn a_published_port_serves_whom_the_policy_names() {
    let Some((lab, host)) = shop() else { return };
    start_db(&host);
    // Docker opens the published port's container to whoever has a route to it (as from 28 only when
    // told to), and before 27 it leaves IPv6 alone.
    let open = if host.engine() < 27 { 4 } else { 2 };
    let names = ["web", "web", "web", "db"];
    for (address, name) in ROUTED.into_iter().zip(names).take(open) {
        lab.outside.is_served(address, name);
    }

    apply(&host, SHOP);
    only_the_office_is_served(&lab, "web", WEB);
    for address in ROUTED {
        lab.outside.is_refused(address);
        lab.office.is_refused(address);
    }
}

#[test]
fn a_container_with_another_address_keeps_its_rules() {
    let Some((lab, host)) = shop() else { return };
    start_blog(&host);
    lab.outside.is_served(BLOG[0], "blog");
    apply(&host, SHOP);
    only_the_office_is_served(&lab, "blog", BLOG);

    let address = "docker inspect -f '{{.NetworkSettings.Networks.shop.IPAddress}}' blog";
    let before = host.run(address);
    host.run("docker rm -f blog");
    // Takes the address that is free now.
    super::start(&host, "squatter", None, "box");
    start_blog(&host);
    assert_ne!(host.run(address), before);
    only_the_office_is_served(&lab, "blog", BLOG);
    only_the_office_is_served(&lab, "web", WEB);
}

#[test]
fn rules_loaded_by_hand_protect_without_tidegate() {
    let Some((lab, host)) = docker_host() else {
        return;
    };
    host.put(POLICY, SHOP);
    host.run(&format!(
        "tidegate compile {POLICY} -o /root/bundle && rm /usr/local/sbin/tidegate"
    ));
    // The last block needs a chain that the engine makes; without it there are no grants, and the
    // exit code says so.
    host.attempt("iptables-restore --noflush /root/bundle/rules.v4");
    host.attempt("ip6tables-restore --noflush /root/bundle/rules.v6");
    host.run("sysctl -qp /root/bundle/90-tidegate.conf && engine start");
    make_network(&host);
    start_web(&host);
    only_the_office_is_served(&lab, "web", WEB);
    for address in ROUTED {
        lab.outside.is_refused(address);
    }

    // The same host without those rules lets everybody in.
    host.run("iptables -t mangle -F && ip6tables -t mangle -F");
    host.run("iptables -F INPUT && ip6tables -F INPUT && ip6tables -t raw -F");
    for address in WEB {
        lab.outside.is_served(address, "web");
    }
}

#[test]
fn a_published_container_learns_how_large_packets_may_be() {
    let Some((lab, host)) = shop() else { return };
    let (_far, client) = far_from(&lab.office, &host);
    let far = "198.51.100.10, 2001:db8:1::10";
    apply(&host, &SHOP.replace("192.0.2.10, 2001:db8::10", far));
    let words = 4000;
    host.run(&format!(
        "docker exec web busybox sh -c 'busybox yes web | busybox head -n {words} >/www/index.html'"
    ));
    let text = vec!["web"; words].join("\n");
    for address in WEB {
        client.is_served(address, &text);
        lab.outside.is_refused(address);
    }
}
