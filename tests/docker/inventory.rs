//! Containers to which neither the policy nor the user gives an address.

use tidegate::facts::Facts;

use super::{POLICY, SHOP, make_network, start};
use crate::support::lab::docker_host;

#[test]
fn a_policy_without_addresses_takes_those_of_the_engine() {
    let Some((lab, host)) = docker_host() else {
        return;
    };
    host.run("engine start");
    make_network(&host);
    start(&host, "other", None, "box");
    start(&host, "web", None, "-p 8080:80 box 80 81");
    start(&host, "db", None, "box 5432 5433");

    let inventory = Facts::read(&host.run("tidegate inventory")).expect("it is in order");
    assert_eq!(
        inventory.network_of("br-shop").map(|(name, _)| name),
        Some("shop")
    );
    for name in ["web", "db"] {
        let format = "{{.NetworkSettings.Networks.shop.IPAddress}}";
        let address = host.run(&format!("docker inspect -f '{format}' {name}"));
        let known = inventory.addresses(name, "shop");
        assert_eq!(known.len(), 2, "{known:?}");
        assert_eq!(known[0].to_string(), address.trim());
    }
    let web = &inventory.containers["web"];
    assert_eq!(web.ports, ["8080->80/tcp".parse().unwrap()]);
    assert_eq!(web.network_mode.as_deref(), Some("shop"));
    assert_eq!(inventory.bridges().count(), 2, "docker0 and br-shop");

    let open = SHOP
        .replace(" at 172.28.0.10, fd00:28::10", "")
        .replace(" at 172.28.0.20, fd00:28::20", "");
    host.put(POLICY, &open);
    let mistaken = host.attempt(&format!("tidegate check {POLICY}"));
    assert_eq!(mistaken.status.code(), Some(1), "{mistaken:?}");
    let said = host.run(&format!("tidegate apply {POLICY} 2>&1"));
    assert!(said.contains("T0360"), "{said}");
    let db = inventory.addresses("db", "shop")[0];
    host.container("web").is_served(&format!("{db}:5432"), "db");
    host.container("web").is_refused(&format!("{db}:5433"));
    host.container("other").is_refused(&format!("{db}:5432"));
    lab.office.is_served("192.0.2.1:8080", "web");
    lab.outside.is_refused("192.0.2.1:8080");
}

#[test]
fn a_running_engine_gives_a_first_policy_that_keeps_open_what_is_open() {
    let Some((lab, host)) = docker_host() else {
        return;
    };
    host.run("engine start");
    make_network(&host);
    start(&host, "web", None, "-p 8080:80 box 80 81");
    start(&host, "shop", None, "box");
    lab.outside.is_served("192.0.2.1:8080", "web");

    host.run("mkdir -p /etc/tidegate");
    host.run(&format!("tidegate import --engine -o {POLICY}"));
    let policy = host.run(&format!("cat {POLICY}"));
    assert!(
        policy.contains("network shop-net {\n  # the engine calls it shop\n  bridge br-shop\n"),
        "{policy}"
    );
    assert!(
        policy.contains("expose 80/tcp as 8080 from any"),
        "{policy}"
    );
    host.run("tidegate inventory -o /tmp/inventory.yaml");
    host.run(&format!(
        "tidegate check {POLICY} --inventory /tmp/inventory.yaml"
    ));
    host.run(&format!("tidegate apply {POLICY}"));
    lab.outside.is_served("192.0.2.1:8080", "web");
    lab.outside.is_refused("172.28.0.2:81");
}
