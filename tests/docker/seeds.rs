//! Cases that people brought to Docker long before tidegate, each by its old name.

use super::{SHOP, WEB, apply, make_network, start_web};
use crate::support::lab::docker_host;

/// `iptables -I DOCKER -i ext_if ! -s 8.8.8.8 -j DROP`, the documentation's way up to 2017 to serve
/// one client only: the engine empties that chain whenever it starts.
#[test]
fn one_client_alone_also_after_the_engine_has_restarted() {
    let Some((lab, host)) = docker_host() else {
        return;
    };
    host.run("engine start");
    make_network(&host);
    start_web(&host);
    lab.outside.is_served(WEB[0], "web");
    host.run("iptables -I DOCKER -i eth0 ! -s 192.0.2.10 -j DROP");
    lab.outside.is_refused(WEB[0]);
    host.run("engine restart");
    lab.outside.is_served(WEB[0], "web");

    apply(&host, SHOP);
    lab.outside.is_refused(WEB[0]);
    host.run("engine restart");
    lab.office.is_served(WEB[0], "web");
    lab.outside.is_refused(WEB[0]);
}

/// `dockerd --ip-forward=false` leaves forwarding to the administrator; so does it FORWARD's policy.
#[test]
fn an_engine_that_leaves_forwarding_alone() {
    let Some((lab, host)) = docker_host() else {
        return;
    };
    host.run("engine start --ip-forward=false");
    make_network(&host);
    start_web(&host);
    assert_eq!(host.run("sysctl -n net.ipv4.ip_forward").trim(), "0");
    lab.office.is_refused(WEB[0]);

    apply(&host, SHOP);
    assert_eq!(host.run("sysctl -n net.ipv4.ip_forward").trim(), "1");
    lab.office.is_served(WEB[0], "web");
    lab.outside.is_refused(WEB[0]);
    assert!(
        host.run("iptables -S FORWARD")
            .starts_with("-P FORWARD DROP")
    );
    host.run("engine restart --ip-forward=false && tidegate drift");
    lab.office.is_served(WEB[0], "web");
    lab.outside.is_refused(WEB[0]);
}
