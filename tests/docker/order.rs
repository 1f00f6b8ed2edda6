//! The rules are there before the engine is.

use super::{SHOP, WEB, apply, make_network, start_db, start_web};
use crate::support::lab::docker_host;

#[test]
fn a_host_is_protected_from_the_first_start_of_the_engine() {
    let Some((lab, host)) = docker_host() else {
        return;
    };
    apply(&host, SHOP);
    let storm = lab.outside.storm(&WEB);
    host.run("engine start");
    make_network(&host);
    start_web(&host);
    start_db(&host);
    for address in WEB {
        lab.office.is_served(address, "web");
    }
    // The grant came before the chain that Docker keeps for it.
    let web = host.container("web");
    web.is_served("172.28.0.20:5432", "db");
    web.is_served("[fd00:28::20]:5432", "db");
    host.run("tidegate drift");
    storm.goes_on_for(100);
    storm.got_nowhere();

    // What kept them out was the policy. IPv6 clients come by the proxy, or forwarded as from 27 on.
    host.run("iptables -t mangle -F FORWARD");
    host.run("ip6tables -t mangle -F FORWARD && ip6tables -F INPUT");
    for address in WEB {
        lab.outside.is_served(address, "web");
    }
}
