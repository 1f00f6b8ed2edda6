//! A machine with systemd as process 1 comes up closed.

use std::thread;
use std::time::{Duration, Instant};

use super::booted::Shop;
use crate::support::lab::Host;

/// Waits until every unit of the boot is started, and panics when one failed.
#[track_caller]
pub(super) fn is_up(host: &Host) {
    let deadline = Instant::now() + Duration::from_secs(120);
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
fn a_boot_and_a_reboot_are_closed_from_their_first_moment() {
    let Some(mut shop) = Shop::open("", &[]) else {
        return;
    };
    for boot in ["boot", "reboot"] {
        shop.is_well();
        shop.is_as_compiled();
        shop.tell_times(boot);
        if boot == "boot" {
            shop.reboot();
        }
    }
    shop.nothing_got_in("a boot and a reboot");
}
