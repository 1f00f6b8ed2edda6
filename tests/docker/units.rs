//! The units on a machine with systemd: what they mend from within their sandbox, after whom they
//! come again, and what a failure looks like.

use std::thread;
use std::time::{Duration, Instant};

use super::SHOP;
use super::reboot::is_up;
use crate::support::lab::{Host, machine};

/// Returns the lines of a unit's own messages that are at least that urgent; what systemd itself says of
/// the unit differs from release to release.
fn told(host: &Host, urgency: &str, unit: &str) -> String {
    host.run("journalctl --sync");
    host.run(&format!(
        "journalctl -b --no-pager -o cat -p {urgency} -t tidegate -u {unit}"
    ))
}

/// Waits until the machine is as its bundle says, without asking any unit for it.
#[track_caller]
fn is_mended(host: &Host, after: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !host.attempt("tidegate drift").status.success() {
        assert!(Instant::now() < deadline, "after {after}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn units_mend_what_others_undo_and_say_so() {
    let Some((_lab, mut machine)) = machine() else {
        return;
    };
    machine.install(SHOP, &[]);
    let host = machine.boot();
    is_up(&host);
    host.run("systemctl stop tidegate-drift.timer");
    host.run("systemctl start tidegate-drift");
    assert_eq!(told(&host, "notice", "tidegate-drift"), "");

    // Within the sandbox: both families, a kernel setting, a file.
    host.run("iptables -t mangle -F && ip6tables -t mangle -F");
    host.run("sysctl -qw net.ipv4.conf.all.forwarding=0 && rm /etc/sysctl.d/90-tidegate.conf");
    host.run("systemctl start tidegate-drift && tidegate drift");
    let log = told(&host, "warning", "tidegate-drift");
    for line in [
        "rule gone",
        "kernel setting differs",
        "file gone",
        "after repair:",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert_eq!(told(&host, "err", "tidegate-drift"), "");
    let found = host.run("journalctl -b --no-pager -o cat TIDEGATE_DRIFT=rule-gone");
    assert!(found.contains("after repair:"), "{found}");

    // Each of these flushes all rules, the engine's and ours. tidegate.service is up already when
    // nftables starts for the first time: then it is the timer's unit that nftables wants.
    host.run("systemctl start nftables");
    is_mended(&host, "the first start of nftables");
    for verbs in [&["restart"][..], &["reload"], &["stop", "start"]] {
        for verb in verbs {
            host.run(&format!("systemctl {verb} nftables"));
        }
        is_mended(&host, &format!("{verbs:?} nftables"));
    }

    // What cannot be mended is a failed unit, and an error in the journal.
    host.run("iptables -t mangle -F && chmod 777 /var/lib/tidegate");
    for unit in ["tidegate", "tidegate-guard", "tidegate-drift"] {
        let ended = host.attempt(&format!("systemctl restart {unit}"));
        assert!(!ended.status.success(), "{unit}");
        let failed = host.run("systemctl list-units --failed --no-legend --plain");
        assert!(failed.contains(&format!("{unit}.service")), "{failed}");
        let log = told(&host, "err", unit);
        assert!(
            log.contains("error[T0505]: /var/lib/tidegate may be written"),
            "{unit}: {log}"
        );
    }
    let found = host.run("journalctl -b --no-pager -o cat -p err TIDEGATE_CODE=T0505");
    assert!(found.contains("error[T0505]"), "{found}");
    host.run("chmod 755 /var/lib/tidegate && systemctl restart tidegate-drift && tidegate drift");
}
