//! A machine with systemd as process 1 comes up closed.

use std::thread;
use std::time::{Duration, Instant};

use super::{SHOP, WEB, make_network, start_web};
use crate::support::lab::{Host, machine};

/// Waits until every unit of the boot is started, and panics when one failed.
#[track_caller]
pub(super) fn is_up(host: &Host) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let state = || {
        let output = host.attempt("systemctl is-system-running");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    while !["running", "degraded"].contains(&state().as_str()) {
        assert!(Instant::now() < deadline, "not up: {}", state());
        thread::sleep(Duration::from_millis(50));
    }
    let failed = host.run("systemctl list-units --failed --no-legend --plain");
    let failed = failed.split_whitespace().next().unwrap_or("");
    let log = host.run(&format!(
        "[ -z '{failed}' ] || journalctl -b --no-pager -u '{failed}'"
    ));
    assert_eq!(failed, "", "{log}");
}

#[test]
fn two_boots_are_closed_from_their_first_moment() {
    let Some((lab, mut machine)) = machine() else {
        return;
    };
    // Without tidegate, for comparison.
    let host = machine.boot();
    is_up(&host);
    host.run("engine image");
    make_network(&host);
    start_web(&host);
    for address in WEB {
        lab.outside.is_served(address, "web");
    }
    machine.shut_down(&host);

    machine.install(SHOP, &[]);
    let storm = lab.outside.storm(&WEB);
    for _ in 0..2 {
        let host = machine.boot();
        is_up(&host);
        for address in WEB {
            lab.office.is_served(address, "web");
        }
        host.run("tidegate drift");
        storm.goes_on_for(100);
        machine.shut_down(&host);
    }
    storm.got_nowhere();
}
