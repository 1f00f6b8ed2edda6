//! Limits of exposures: who goes over one is refused, everybody else is served.

use super::{BLOG, SHOP, WEB, apply, make_network, start_blog, start_web};
use crate::support::client::Answer;
use crate::support::lab::{Host, Lab, docker_host};

fn limited() -> Option<(Lab, Host)> {
    let (lab, host) = docker_host()?;
    host.run("engine start");
    make_network(&host);
    start_web(&host);
    start_blog(&host);
    for (address, name) in [(WEB[0], "web"), (WEB[1], "web"), (BLOG[0], "blog")] {
        lab.outside.is_served(address, name);
    }
    let policy = SHOP
        .replace(
            "as 8080 from office",
            "as 8080 from any limit 3/day burst 3 per source",
        )
        .replace(
            "as 8090 from office",
            "as 8090 from any limit 2 connections per source",
        );
    let policy: Vec<&str> = policy
        .lines()
        .filter(|line| !line.starts_with("expect"))
        .collect();
    apply(&host, &policy.join("\n"));
    Some((lab, host))
}

#[test]
fn who_connects_too_often_is_refused_and_nobody_else() {
    let Some((lab, host)) = limited() else { return };
    let web = || Answer::From("web".to_owned());
    for address in WEB {
        for _ in 0..3 {
            assert_eq!(lab.outside.ask(address), web(), "{address}");
        }
        lab.outside.is_refused(address);
    }
    assert_eq!(lab.office.ask(WEB[0]), web());
    // Its neighbour of the same 64 bits is the same source.
    lab.office.is_refused(WEB[1]);
    // Repairing puts nothing back to its beginning, as nothing is loaded.
    host.run("tidegate drift --repair");
    lab.outside.is_refused(WEB[0]);
}

#[test]
fn who_has_too_many_connections_waits_until_one_ends() {
    let Some((lab, _host)) = limited() else {
        return;
    };
    let held = [(); 2].map(|()| lab.outside.connect(BLOG[0]).expect("within the limit"));
    assert!(lab.outside.connect(BLOG[0]).is_none(), "a third one");
    lab.office.is_served(BLOG[0], "blog");
    drop(held);
    lab.outside.is_served(BLOG[0], "blog");
}
