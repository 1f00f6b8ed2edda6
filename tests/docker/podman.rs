//! podman with netavark, whose rules have no chain for those of others.

use super::{POLICY, WEB, apply};
use crate::support::lab::{Host, Lab, podman_host};

const SHOP: &str = include_str!("podman.tide");

fn make_network(host: &Host) {
    host.run(
        "podman network create --ipv6 --subnet 172.28.0.0/16 --subnet fd00:28::/64 \
         --interface-name br-shop shop && \
         podman network create --ipv6 --subnet 172.29.0.0/16 --subnet fd00:29::/64 \
         --interface-name br-stock stock",
    );
}

fn start_web(host: &Host) {
    host.run(
        "pod run --name web --hostname web --network shop:ip=172.28.0.10,ip6=fd00:28::10 \
         -p 8080:80 -p 8081:81 localhost/box:1 80 81",
    );
}

fn start_stock(host: &Host) {
    host.run(
        "pod run --name store --hostname store --network stock:ip=172.29.0.20,ip6=fd00:29::20 \
         localhost/box:1 5432 5433 && \
         pod run --name peer --hostname peer --network shop:ip=172.28.0.20,ip6=fd00:28::20 \
         localhost/box:1 80",
    );
}

/// What the policy says, in both families, by the host's ports and at the containers' own addresses.
#[track_caller]
fn is_as_the_policy_says(lab: &Lab, host: &Host) {
    for address in WEB {
        lab.office.is_served(address, "web");
        lab.outside.is_refused(address);
    }
    // Published, and no line opens it.
    for address in ["192.0.2.1:8081", "[2001:db8::1]:8081"] {
        lab.office.is_refused(address);
        lab.outside.is_refused(address);
    }
    for address in ["172.28.0.10:80", "[fd00:28::10]:80", "172.29.0.20:5432"] {
        lab.outside.is_refused(address);
    }
    let (web, peer) = (container(host, "web"), container(host, "peer"));
    for store in ["172.29.0.20", "[fd00:29::20]"] {
        web.is_served(&format!("{store}:5432"), "store");
        web.is_refused(&format!("{store}:5433"));
        peer.is_refused(&format!("{store}:5432"));
    }
    // `icc off`.
    for address in ["172.28.0.10:80", "[fd00:28::10]:80"] {
        peer.is_refused(address);
    }
}

fn container(host: &Host, name: &str) -> crate::support::client::Client {
    host.process(&host.run(&format!("podman inspect -f '{{{{.State.Pid}}}}' {name}")))
}

/// Containers come and go, are restarted, and a network is made anew: podman writes its rules at each.
fn goes_through_its_days(driver: &str) {
    let Some((lab, host)) = podman_host(driver) else {
        return;
    };
    make_network(&host);
    start_web(&host);
    start_stock(&host);
    for address in WEB {
        lab.outside.is_served(address, "web");
    }
    apply(&host, SHOP);
    is_as_the_policy_says(&lab, &host);
    host.run("tidegate drift");

    host.run("podman restart -t 1 web store");
    // Each has another MAC address at the same address; the host asks anew when its entry is old.
    host.run("ip neigh flush all");
    host.attempt("tidegate drift --repair");
    is_as_the_policy_says(&lab, &host);

    host.run("podman rm -f -t 1 web peer store && podman network rm shop stock");
    for address in WEB {
        lab.outside.is_refused(address);
    }
    make_network(&host);
    start_web(&host);
    // Before anything of ours has looked: whatever podman puts in front closes, and opens nothing.
    for address in WEB {
        lab.outside.is_refused(address);
    }
    start_stock(&host);
    host.attempt("tidegate drift --repair");
    is_as_the_policy_says(&lab, &host);
    is_found(&host);
    let doctor = host.attempt("tidegate doctor --format json");
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    for code in ["T0709", "T0715", "T0716", "T0735"] {
        assert!(!said.contains(code), "{code}: {said}");
    }
}

/// An inventory has podman's own bridges, and a first policy is for podman.
#[track_caller]
fn is_found(host: &Host) {
    host.run(
        "mkdir -p /run/podman && \
         setsid podman system service -t 0 unix:///run/podman/podman.sock >/dev/null 2>&1 </dev/null & \
         n=0; until [ -S /run/podman/podman.sock ]; do n=$((n + 1)); [ $n -lt 500 ]; sleep 0.02; done",
    );
    let inventory = host.run("tidegate inventory");
    for line in [
        "engine: podman ",
        "bridge: br-shop\n",
        "bridge: br-stock\n",
        "- 8080->80/tcp\n",
        "- 8081->81/tcp\n",
    ] {
        assert!(inventory.contains(line), "{line}: {inventory}");
    }
    let policy = host.run("tidegate import --engine");
    assert!(policy.contains("  engine     podman\n"), "{policy}");
}

#[test]
fn podman_with_the_iptables_driver() {
    goes_through_its_days("iptables");
}

#[test]
fn podman_with_the_nftables_driver() {
    goes_through_its_days("nftables");
}

/// A policy for Docker closes podman's networks as well, and what it says that it opens under `forward
/// drop` is dead: that is found.
#[test]
fn a_policy_for_docker_on_podman_is_told() {
    let Some((lab, host)) = podman_host("iptables") else {
        return;
    };
    make_network(&host);
    start_web(&host);
    apply(
        &host,
        &SHOP.replace("engine     podman", "engine     docker"),
    );
    for address in WEB {
        lab.outside.is_refused(address);
    }
    lab.office.is_refused(WEB[0]);
    let doctor = host.attempt("tidegate doctor");
    assert!(!doctor.status.success());
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("T0735"), "{said}");
    host.put(POLICY, SHOP);
    host.run(&format!("tidegate apply {POLICY}"));
    lab.office.is_served(WEB[0], "web");
}
