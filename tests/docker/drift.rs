//! What somebody changes by hand is found and put right.

use super::{SHOP, WEB, apply, make_network, start_web};
use crate::support::lab::{Host, docker_host};

/// Returns the exit code of `tidegate drift` with `arguments`.
fn drift(host: &Host, arguments: &str) -> Option<i32> {
    let output = host.attempt(&format!("tidegate drift {arguments}"));
    output.status.code()
}

#[test]
fn drift_is_found_and_repaired() {
    let Some((lab, host)) = docker_host() else {
        return;
    };
    host.run("engine start");
    make_network(&host);
    start_web(&host);
    apply(&host, SHOP);
    lab.office.is_served(WEB[0], "web");
    assert_eq!(drift(&host, ""), Some(0), "just applied");

    for damage in [
        "iptables -t mangle -D FORWARD 1",
        "iptables -t mangle -F TIDE-shop-in",
        "iptables -t mangle -I FORWARD -j ACCEPT",
        "iptables -D INPUT 1",
        "iptables -F DOCKER-USER",
        "iptables -P FORWARD ACCEPT",
        "ip6tables -t mangle -I TIDE-GATE -j RETURN",
        "sysctl -qw net.ipv4.ip_forward=0",
    ] {
        host.run(damage);
        assert_eq!(drift(&host, ""), Some(1), "found: {damage}");
        assert_eq!(drift(&host, "--format json"), Some(1), "found: {damage}");
        host.attempt("tidegate drift --repair");
        assert_eq!(drift(&host, ""), Some(0), "repaired: {damage}");
        lab.outside.is_refused(WEB[0]);
        lab.office.is_served(WEB[0], "web");
    }

    // The hook is what protects, and the repair what brings it back.
    host.run("iptables -t mangle -D FORWARD 1");
    lab.outside.is_served(WEB[0], "web");
    host.run("tidegate drift --repair");
    lab.outside.is_refused(WEB[0]);
}

#[test]
fn a_restart_of_the_engine_is_no_drift() {
    let Some((lab, host)) = docker_host() else {
        return;
    };
    host.run("engine start");
    make_network(&host);
    start_web(&host);
    apply(&host, SHOP);
    let user = host.run("iptables -S DOCKER-USER");
    host.run("engine restart");
    lab.office.is_served(WEB[0], "web");
    assert_eq!(host.run("iptables -S DOCKER-USER"), user);
    assert_eq!(drift(&host, ""), Some(0));
    host.run("iptables -F DOCKER-USER");
    assert_eq!(drift(&host, ""), Some(1));
}
