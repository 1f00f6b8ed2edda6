//! An engine that is restarted, reloaded, stopped and killed on a machine with systemd.

use super::booted::{Shop, until};

const DAEMON: &str = "/etc/docker/daemon.json";

#[test]
fn nothing_gets_in_while_systemd_restarts_the_engine() {
    let Some(shop) = Shop::open("", &[]) else {
        return;
    };
    for _ in 0..10 {
        // docker.service may start three times a minute.
        shop.host
            .run("systemctl reset-failed docker; systemctl restart docker");
        until(&shop.host, "systemctl is-active tidegate && tidegate drift");
    }
    shop.is_well();
    shop.host.run("systemctl reload docker");
    until(&shop.host, "systemctl is-active tidegate");
    shop.is_well();
    shop.nothing_got_in("ten restarts and a reload");
    live_restore(&shop);
    shop.nothing_got_in("and with live-restore: a restart, a stop, a start, and a kill");
}

/// Containers run on while the engine is away.
fn live_restore(shop: &Shop) {
    shop.host.put(DAEMON, "{\"live-restore\": true}\n");
    // The option counts for an engine that is asked to stop while it has it.
    shop.host
        .run("systemctl reset-failed docker; systemctl reload docker");
    let pid = "docker inspect -f '{{.State.Pid}}' web";
    let before = shop.host.run(pid);
    shop.host.run("systemctl restart docker");
    assert_eq!(shop.host.run(pid), before, "the container runs on");
    shop.is_well();

    shop.host.run("systemctl stop docker.socket docker.service");
    shop.lab.office.is_served("192.0.2.1:8080", "web");
    shop.storm_goes_on();
    shop.host
        .run("systemctl reset-failed docker; systemctl start docker");
    shop.is_well();

    let invocation = "systemctl show --value -p InvocationID tidegate";
    let ran = shop.host.run(invocation);
    shop.host.run("kill -KILL $(cat /run/docker.pid)");
    // systemd starts it again, and with it what has to come after it.
    until(
        &shop.host,
        &format!("[ $({invocation}) != {} ]", ran.trim()),
    );
    until(&shop.host, "systemctl is-active tidegate docker");
    assert_eq!(shop.host.run(pid), before, "the container runs on");
    shop.is_well();
}
