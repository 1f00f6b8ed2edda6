//! A boot is closed whatever of tidegate is missing, broken, cut or edited.

use super::booted::{Shop, say};

/// Brings back what [`keeps_a_copy`] has kept.
const HEAL: &str = "rm -rf /var/lib/tidegate /etc/docker/daemon.json
     cp -a /root/store /var/lib/tidegate
     rm -f /usr/sbin/tidegate && cp -a /root/program /usr/sbin/tidegate
     [ ! -d /root/iptables ] || { mv /root/iptables/* /usr/sbin && rmdir /root/iptables; }
     rm -rf /etc/systemd/system/tidegate* && cp -a /root/units/* /etc/systemd/system";

/// All copies of the rules.
const RULES: &str = "/var/lib/tidegate/*/rules.v? /var/lib/tidegate/history/*/rules.v?";

/// A failure, what makes it, and the unit that has to say so, if one can.
struct Failure {
    what: &'static str,
    damage: String,
    said: Option<&'static str>,
}

fn failures() -> Vec<Failure> {
    let failure = |what, damage: &str, said| Failure {
        what,
        damage: damage.replace("RULES", RULES),
        said,
    };
    vec![
        failure("tidegate is missing", "rm /usr/sbin/tidegate", None),
        failure("tidegate is broken", "cp /bin/false /usr/sbin/tidegate", None),
        failure("rules are empty", "for file in RULES; do : >$file; done", Some("T0531")),
        failure("rules are cut", "truncate -s 300 RULES", Some("T0531")),
        failure("rules are edited", "sed -i 's/-j DROP/-j ACCEPT/' RULES", Some("T0531")),
        failure(
            "the current bundle alone is edited",
            "sed -i 's/-j DROP/-j ACCEPT/' /var/lib/tidegate/current/rules.v?",
            Some("T0530"),
        ),
        failure("the current bundle is gone", "rm -r /var/lib/tidegate/current", Some("T0530")),
        failure("the store is gone", "rm -r /var/lib/tidegate", Some("T0507")),
        failure(
            "the guard is masked, and what comes after it",
            "for unit in tidegate-guard.service tidegate.service tidegate-drift.timer; do
                 ln -sf /dev/null /etc/systemd/system/$unit
             done",
            None,
        ),
        failure(
            "the guard hangs",
            "printf '#!/bin/sh\\nexec sleep 1000000\\n' >/usr/sbin/tidegate
             for unit in tidegate-guard tidegate; do
                 mkdir -p /etc/systemd/system/$unit.service.d
                 printf '[Service]\\nTimeoutStartSec=2\\n' >/etc/systemd/system/$unit.service.d/soon.conf
             done",
            None,
        ),
        failure(
            "what closes first is masked, and tidegate missing",
            "rm /usr/sbin/tidegate
             ln -sf /dev/null /etc/systemd/system/tidegate-closed.service",
            None,
        ),
        // Docker refuses to start without iptables, unless it is told to do without.
        failure(
            "iptables is missing",
            "mkdir /root/iptables
             mv /usr/sbin/iptables* /usr/sbin/ip6tables* /usr/sbin/xtables* /root/iptables
             mkdir -p /etc/docker
             echo '{\"iptables\": false, \"ip6tables\": false}' >/etc/docker/daemon.json",
            Some("T0503"),
        ),
    ]
}

#[test]
fn a_boot_is_closed_whatever_of_tidegate_fails() {
    let Some(mut shop) = Shop::open("", &[]) else {
        return;
    };
    shop.is_well();
    keeps_a_copy(&shop);
    for failure in failures() {
        shop.boots_with(&failure.damage);
        engine_and_login_are_alive(&shop);
        shop.storm_goes_on();
        shop.nothing_got_in(failure.what);
        if let Some(code) = failure.said {
            let log = shop
                .host
                .run("journalctl -b --no-pager -o cat -u tidegate-guard");
            assert!(log.contains(code), "{}: {log}", failure.what);
            let drift = shop.host.attempt("tidegate drift");
            assert!(!drift.status.success(), "{}", failure.what);
        }
        shop.host.run(HEAL);
    }
    shop.boots_with("true");
    shop.is_well();
    let nft = shop.host.run("nft list tables");
    assert!(!nft.contains("tidegate-closed"), "{nft}");
    shop.nothing_got_in("after all of them");
}

/// An engine does not start where nothing can close its containers, and does once something can.
#[test]
fn an_engine_waits_for_what_closes_and_is_left_alone_by_our_units() {
    let Some(mut shop) = Shop::open("", &[]) else {
        return;
    };
    let pid = "systemctl show --value -p MainPID docker";
    let before = shop.host.run(pid);
    for verb in ["restart", "stop", "start"] {
        shop.host
            .run(&format!("systemctl {verb} tidegate-closed tidegate-guard"));
    }
    assert_eq!(shop.host.run(pid), before, "the engine was restarted");
    shop.is_well();

    keeps_a_copy(&shop);
    shop.boots_with("rm /usr/sbin/tidegate /usr/lib/tidegate/closed");
    let state = shop.host.attempt("systemctl is-active docker");
    assert!(!state.status.success(), "the engine runs");
    shop.lab.outside.is_served("192.0.2.1:22", "login");
    shop.storm_goes_on();
}

/// Keeps what [`HEAL`] brings back, and has something answer on the port of sshd.
fn keeps_a_copy(shop: &Shop) {
    shop.host.put("/srv/login/index.html", "login\n");
    shop.host.put(
        "/etc/systemd/system/login.service",
        "[Service]\nExecStart=/bin/busybox httpd -f -p 22 -h /srv/login\n\
         [Install]\nWantedBy=multi-user.target\n",
    );
    shop.host.run(
        "systemctl enable --now login
         mkdir /root/units && cp -a /etc/systemd/system/tidegate* /root/units
         cp -a /usr/sbin/tidegate /root/program && cp -a /var/lib/tidegate /root/store",
    );
}

fn engine_and_login_are_alive(shop: &Shop) {
    super::booted::until(&shop.host, "systemctl is-active docker login");
    super::booted::until(
        &shop.host,
        "docker inspect -f '{{.State.Running}}' web | grep true",
    );
    shop.lab.outside.is_served("192.0.2.1:22", "login");
    shop.lab.outside.is_served("[2001:db8::1]:22", "login");
    say("the engine runs, and port 22 answers");
}
