//! A machine with systemd and a shop on it, which somebody hammers from its power-on.

use std::env;
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use super::reboot::is_up;
use super::{POLICY, RUN, drops_routed, make_network};
use crate::support::client::{STORM, Storm};
use crate::support::lab::{Host, Lab, Machine, machine_with};

pub(super) const SHOP: &str = include_str!("boot.tide");

/// What outside may not reach, by the host's ports, then at the container's own addresses. The engine
/// alone lets everybody in at all of them, since 28.0 by the host's ports alone.
pub(super) const FORBIDDEN: [&str; 8] = [
    "192.0.2.1:8080",
    "[2001:db8::1]:8080",
    "udp 192.0.2.1:8053",
    "udp [2001:db8::1]:8053",
    "172.28.0.10:80",
    "[fd00:28::10]:80",
    "udp 172.28.0.10:53",
    "udp [fd00:28::10]:53",
];

/// What the office is served.
pub(super) const ALLOWED: [&str; 6] = [
    "192.0.2.1:8080",
    "[2001:db8::1]:8080",
    "udp 192.0.2.1:8053",
    "udp [2001:db8::1]:8053",
    "172.28.0.10:9187",
    "[fd00:28::10]:9187",
];

/// The units that put rules in force.
const UNITS: [&str; 3] = ["tidegate-guard", "tidegate", "tidegate-drift"];

/// What nothing else in a boot or a flush takes, also on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) struct Shop {
    storm: Storm,
    pub(super) host: Host,
    machine: Machine,
    pub(super) lab: Lab,
}

/// Nothing of tidegate's own differs. What the engine had written itself may be gone until it restarts,
/// which is told as well.
const WHOLE: &str = r#"tidegate drift --format json | grep -q '"drifts": \[\]'"#;

impl Shop {
    /// Sets up the shop, shows that the engine alone lets everybody in, installs tidegate, and boots
    /// into a storm. `masked` are units that this machine shall not start yet.
    pub(super) fn open(variant: &str, masked: &[&str]) -> Option<Self> {
        let (lab, mut machine) = machine_with(variant)?;
        for unit in masked {
            machine.mask(unit);
        }
        let host = machine.boot();
        is_up(&host);
        host.run("engine image");
        make_network(&host);
        host.run(&format!(
            "{RUN} --name web -h web --network shop --ip 172.28.0.10 --ip6 fd00:28::10 \
             -v /usr:/usr:ro -p 8080:80 -p 8053:53/udp box 80 9187 53/udp"
        ));
        let (published, routed) = FORBIDDEN.split_at(4);
        for address in published {
            lab.outside.is_served(address, "web");
        }
        for address in routed {
            if drops_routed(&host) {
                lab.outside.is_refused(address);
            } else {
                lab.outside.is_served(address, "web");
            }
        }
        host.put(POLICY, SHOP);
        host.run(&format!("tidegate install {POLICY}"));
        machine.shut_down(&host);
        let storm = lab.outside.storm(&FORBIDDEN);
        let host = machine.boot();
        let shop = Shop {
            storm,
            host,
            machine,
            lab,
        };
        is_up(&shop.host);
        Some(shop)
    }

    /// Reboots under the storm, and returns when process 1 runs.
    pub(super) fn begin_reboot(&mut self) {
        self.host = self.machine.reboot(&self.host);
    }

    pub(super) fn reboot(&mut self) {
        self.begin_reboot();
        is_up(&self.host);
    }

    /// Does something to the machine, switches it off, and boots it under the storm, whatever fails then.
    pub(super) fn boots_with(&mut self, damage: &str) {
        self.host.run(damage);
        self.machine.shut_down(&self.host);
        self.host = self.machine.boot();
        let is_over = "systemctl is-system-running | grep -xE 'running|degraded'";
        until(&self.host, is_over);
    }

    /// The office is served, the machine has not drifted, and for a while nobody else gets in.
    #[track_caller]
    pub(super) fn is_well(&self) {
        for address in ALLOWED {
            self.lab.office.is_served(address, "web");
        }
        self.host.run("tidegate drift");
        self.storm_goes_on();
    }

    /// What the engine itself had written into a table that somebody emptied comes back with it alone.
    #[track_caller]
    pub(super) fn is_well_after_the_engine_restarts(&self) {
        for address in ["172.28.0.10:9187", "[fd00:28::10]:9187"] {
            self.lab.office.is_served(address, "web");
        }
        self.host
            .run("systemctl reset-failed docker; systemctl restart docker");
        self.is_well();
    }

    /// Three seconds of storm, or a minute with `TIDEGATE_LONG`.
    #[track_caller]
    pub(super) fn storm_goes_on(&self) {
        let end = Instant::now() + Duration::from_secs(if is_long() { 60 } else { 3 });
        while Instant::now() < end {
            self.storm.goes_on_for(50);
        }
        self.storm.is_nowhere();
    }

    /// Nothing has come from the storm to the container either, answered or not.
    #[track_caller]
    pub(super) fn nothing_got_in(&self, what: &str) {
        self.storm.is_nowhere();
        say(&format!(
            "{what}: {} connections tried from outside, {} made",
            self.storm.tries(),
            self.storm.through()
        ));
        let heard = format!("docker exec web busybox grep -c {STORM} /www/heard || :");
        assert_eq!(self.host.run(&heard).trim(), "0", "datagrams that came in");
    }

    /// Does something to the rules, waits until nothing of tidegate's differs, and returns the units
    /// that ran in between.
    #[track_caller]
    pub(super) fn heals(
        &mut self,
        what: &str,
        damage: &str,
        within: Duration,
    ) -> Vec<&'static str> {
        // The storm so far has to have got nowhere; this one may get somewhere, until it is healed.
        self.storm.is_nowhere();
        let runs = self.runs();
        let started = Instant::now();
        self.host.run(damage);
        let took = self.whole_for_good(started);
        let busy = "systemctl is-active tidegate tidegate-drift | grep activating";
        until(&self.host, &format!("! {busy}"));
        let after = self.runs();
        let ran = UNITS.into_iter().zip(runs.iter().zip(&after));
        let by: Vec<_> = ran.filter(|(_, (b, a))| a != b).map(|(u, _)| u).collect();
        self.tell_of_the_window(what, started, took, &by);
        assert!(took < within, "{what}: healed after {took:?}");
        self.starts_anew();
        by
    }

    /// Waits until the rules are whole and stay so for a second: a reload may go on after whoever asked
    /// for it was told that it is over. Returns after how long they were.
    fn whole_for_good(&self, started: Instant) -> Duration {
        loop {
            until(&self.host, WHOLE);
            let whole = started.elapsed();
            self.storm.goes_on_for(100);
            let through = self.storm.through();
            let end = Instant::now() + Duration::from_secs(1);
            while Instant::now() < end {
                self.storm.goes_on_for(50);
            }
            let stayed = self.host.attempt(WHOLE).status.success();
            if stayed && self.storm.through() == through {
                return whole;
            }
        }
    }

    fn tell_of_the_window(&self, what: &str, started: Instant, took: Duration, by: &[&str]) {
        self.storm.goes_on_for(100);
        let open = self.storm.last().map_or(0, |(last, _)| {
            last.saturating_duration_since(started).as_millis()
        });
        say(&format!(
            "{what}: healed in {} ms by {by:?}; open for {open} ms, {} connections made from outside",
            took.as_millis(),
            self.storm.through()
        ));
    }

    /// Ends the storm that met a window, with the flows that it made there, and starts another.
    fn starts_anew(&mut self) {
        let storm = self.lab.outside.storm(&[]);
        drop(std::mem::replace(&mut self.storm, storm));
        // It gives up at the first flow that has ended between its look and its blow.
        for family in ["ipv4", "ipv6"] {
            let flows = format!("conntrack -f {family}");
            let none = format!("test -z \"$({flows} -L -p udp 2>/dev/null)\"");
            until(
                &self.host,
                &format!("{none} || {{ {flows} -D -p udp >/dev/null 2>&1; {none}; }}"),
            );
        }
        self.host
            .attempt("docker exec web busybox sed -i /storm/d /www/heard");
        self.storm = self.lab.outside.storm(&FORBIDDEN);
    }

    /// When each unit that puts rules in force began and ended last.
    fn runs(&self) -> Vec<String> {
        let ran = |unit| {
            let of = "systemctl show -p ExecMainStartTimestampMonotonic \
                      -p ExecMainExitTimestampMonotonic -p ExecReload";
            self.host.run(&format!("{of} {unit}.service"))
        };
        UNITS.into_iter().map(ran).collect()
    }

    /// Settings, modules and the bundle are what the policy compiles to now.
    #[track_caller]
    pub(super) fn is_as_compiled(&self) {
        self.host.run(
            // The same facts give the same bytes: nothing is left to do.
            "tidegate apply /etc/tidegate/shop.tide | grep 'already in force'
             rm -rf /run/fresh && cp -r /var/lib/tidegate/current /run/fresh
             cmp /run/fresh/90-tidegate.conf /etc/sysctl.d/90-tidegate.conf
             cmp /run/fresh/tidegate.modules /etc/modules-load.d/tidegate.conf",
        );
        let settings = self.host.run("cat /run/fresh/90-tidegate.conf");
        let settings: Vec<_> = settings
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(" = "))
            .collect();
        assert!(settings.len() >= 5, "{settings:?}");
        for (key, value) in settings {
            let is = self.host.run(&format!("sysctl -n {key}"));
            assert_eq!(is.trim(), value, "{key}");
        }
        assert_eq!(
            self.host.run("cat /run/fresh/tidegate.modules").trim(),
            "br_netfilter"
        );
        // A kernel that has it built in has no folder for it.
        self.host
            .run("[ -d /sys/module/br_netfilter ] || [ -d /proc/sys/net/bridge ]");
    }

    /// Says when in this boot what was done.
    pub(super) fn tell_times(&self, what: &str) {
        let at = |unit: &str, moment: &str| -> i64 {
            let show = format!("systemctl show --value -p {moment}TimestampMonotonic {unit}");
            self.host.run(&show).trim().parse().expect("microseconds")
        };
        let start = at("", "Userspace");
        let after = |unit, moment| (at(unit, moment) - start) / 1000;
        say(&format!(
            "{what}, milliseconds after process 1: guard {} to {}, engine {} to {}, tidegate {} to {}",
            after("tidegate-guard.service", "ExecMainStart"),
            after("tidegate-guard.service", "ExecMainExit"),
            after("docker.service", "ExecMainStart"),
            after("docker.service", "ActiveEnter"),
            after("tidegate.service", "ExecMainStart"),
            after("tidegate.service", "ExecMainExit"),
        ));
    }
}

/// Whether there is time for the minute that a storm lasts, and for the timer's own minute.
pub(super) fn is_long() -> bool {
    env::var_os("TIDEGATE_LONG").is_some()
}

/// Has the timer look every other second, unless there is time.
pub(super) fn hurry_the_timer(host: &Host) {
    if is_long() {
        return;
    }
    host.put(
        "/etc/systemd/system/tidegate-drift.timer.d/hurry.conf",
        "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/2\nAccuracySec=100ms\n",
    );
    host.run("systemctl daemon-reload && systemctl restart tidegate-drift.timer");
}

#[track_caller]
pub(super) fn until(host: &Host, condition: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = host.attempt(condition);
        if output.status.success() {
            return;
        }
        assert!(Instant::now() < deadline, "{condition}: {output:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(super) fn say(text: &str) {
    // Not a macro: the test runner would keep it back.
    writeln!(io::stderr(), "{text}").ok();
}
