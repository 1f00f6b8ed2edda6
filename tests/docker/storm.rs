//! A client that is kept out stays out while the engine and tidegate change the rules around it.

use super::{BLOG, SHOP, WEB, apply, make_network, start_blog, start_web};
use crate::support::client::Storm;
use crate::support::lab::{Host, Lab, docker_host};

/// Attempts that must pass between two steps: the storm was there.
const SOME: usize = 100;

/// Sets up a shop under a storm that got in before the policy came, and counts anew after it.
fn stormy_shop(arguments: &str) -> Option<(Lab, Host, Storm)> {
    let (lab, host) = docker_host()?;
    host.run(&format!("engine start {arguments}"));
    make_network(&host);
    start_web(&host);
    start_blog(&host);
    for address in [WEB, BLOG].concat() {
        lab.office.is_served(
            address,
            if WEB.contains(&address) {
                "web"
            } else {
                "blog"
            },
        );
    }
    let early = storm(&lab);
    early.goes_on_for(SOME);
    assert!(early.through() > 0, "the engine alone keeps them out");
    drop(early);
    apply(&host, SHOP);
    let late = storm(&lab);
    Some((lab, host, late))
}

fn storm(lab: &Lab) -> Storm {
    lab.outside.storm(&[WEB[0], WEB[1], BLOG[0]])
}

fn office_is_served(lab: &Lab) {
    for address in WEB {
        lab.office.is_served(address, "web");
    }
}

#[test]
fn nothing_gets_through_while_the_engine_restarts() {
    let Some((lab, host, storm)) = stormy_shop("") else {
        return;
    };
    office_is_served(&lab);
    for verb in ["restart", "kill"] {
        host.run(&format!("engine {verb}"));
        storm.goes_on_for(SOME);
    }
    host.run("engine start");
    storm.goes_on_for(SOME);
    office_is_served(&lab);
    storm.got_nowhere();
}

#[test]
fn nothing_gets_through_while_the_engine_restarts_below_live_containers() {
    let Some((lab, host, storm)) = stormy_shop("--live-restore") else {
        return;
    };
    office_is_served(&lab);
    host.run("engine restart --live-restore");
    storm.goes_on_for(SOME);
    lab.office.is_served(WEB[0], "web");
    storm.got_nowhere();
}

#[test]
fn nothing_gets_through_while_networks_are_made() {
    let Some((lab, host, storm)) = stormy_shop("") else {
        return;
    };
    for network in 0..8 {
        host.run(&format!("docker network create other{network}"));
    }
    storm.goes_on_for(SOME);
    office_is_served(&lab);
    storm.got_nowhere();
}

#[test]
fn nothing_gets_through_while_the_policy_changes() {
    let Some((lab, host, storm)) = stormy_shop("") else {
        return;
    };
    for _ in 0..4 {
        apply(&host, include_str!("shop-changed.tide"));
        lab.office.is_refused(BLOG[0]);
        apply(&host, SHOP);
        lab.office.is_served(BLOG[0], "blog");
    }
    storm.goes_on_for(SOME);
    office_is_served(&lab);
    storm.got_nowhere();
}
