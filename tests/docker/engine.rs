//! An engine that runs otherwise than the policy says.

use super::{POLICY, SHOP, make_network};
use crate::support::lab::docker_host;

#[test]
fn a_policy_that_would_not_be_true_on_this_engine_is_refused() {
    let Some((_lab, host)) = docker_host() else {
        return;
    };
    host.run("engine start --iptables=false --ip6tables=false");
    make_network(&host);
    host.put(POLICY, SHOP);
    let refused = host.attempt(&format!("tidegate apply {POLICY}"));
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("T0515") && said.contains("write `engine none`"),
        "{said}"
    );
    assert_eq!(
        host.run("iptables-save | grep -c TIDE- || true").trim(),
        "0"
    );

    let checked = host.run(&format!("tidegate check {POLICY} --live"));
    assert!(
        checked.contains("note: Docker runs with `iptables` off"),
        "{checked}"
    );

    host.run("engine restart");
    host.run(&format!("tidegate apply {POLICY}"));
    let none = SHOP.replace("host {", "host {\n  engine none").replace(
        "blog on shop {",
        "blog on shop at 172.28.0.30, fd00:28::30 {",
    );
    host.put(POLICY, &none);
    let refused = host.attempt(&format!("tidegate apply {POLICY}"));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("writes rules of its own"), "{said}");
    // What was in force stays, and is put back even though the engine has changed.
    host.run("tidegate drift");
    host.run("engine restart --iptables=false --ip6tables=false");
    host.run("iptables -t mangle -F TIDE-shop-in && tidegate drift --repair && tidegate drift");
}
