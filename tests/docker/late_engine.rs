//! A boot whose engine comes late, may not come, or is not there.

use super::booted::{Shop, until};
use super::reboot::is_up;
use super::unaided::replace_the_engine;

/// Where the engine waits for the test before it starts.
const GATE: &str = "/etc/systemd/system/docker.service.d/gate.conf";
const WAIT: &str = "[Service]\nExecStartPre=/bin/sh -c 'mkfifo /run/gate && cat /run/gate'\n";

#[test]
fn a_boot_is_closed_whatever_the_engine_does() {
    let Some(mut shop) = Shop::open("", &[]) else {
        return;
    };
    slow(&mut shop);
    masked(&mut shop);
    shop.nothing_got_in("an engine that is slow, then masked");
    absent(&mut shop);
}

fn slow(shop: &mut Shop) {
    shop.host.put(GATE, WAIT);
    shop.begin_reboot();
    until(&shop.host, "test -p /run/gate");
    // The guard does not wait for the engine, tidegate.service does.
    shop.host
        .run("systemctl is-active tidegate-guard && ! systemctl is-active tidegate");
    shop.host.run(
        "iptables -t mangle -C FORWARD -j TIDE-GATE && ip6tables -t mangle -C FORWARD -j TIDE-GATE",
    );
    shop.storm_goes_on();
    shop.host.run("echo >/run/gate");
    is_up(&shop.host);
    shop.is_well();
    shop.tell_times("a slow engine");
    shop.host.run(&format!("rm {GATE}"));
}

fn masked(shop: &mut Shop) {
    shop.host.run("systemctl mask docker.service docker.socket");
    shop.reboot();
    shop.host
        .run("systemctl is-active tidegate && tidegate drift");
    shop.storm_goes_on();
    shop.host
        .run("systemctl unmask docker.service docker.socket && systemctl start docker");
    shop.is_well();
}

/// Something that stands for its containers runs, so that there is somebody to be reached.
fn absent(shop: &mut Shop) {
    replace_the_engine(&shop.host);
    shop.reboot();
    let engine = shop.host.attempt("systemctl cat docker.service");
    assert!(!engine.status.success(), "the engine is still there");
    for address in ["172.28.0.10:9187", "[fd00:28::10]:9187"] {
        shop.lab.office.is_served(address, "web");
    }
    shop.host.run("tidegate drift");
    shop.storm_goes_on();
    // It is the policy that keeps them out.
    shop.host
        .run("iptables -t mangle -F FORWARD && iptables -P FORWARD ACCEPT && iptables -t raw -F");
    shop.lab.outside.is_served("172.28.0.10:80", "web");
}
