//! `apply --confirm` on a machine with systemd and Docker: systemd's own timer goes back.

use std::time::{Duration, Instant};

use super::booted::{SHOP, Shop, say, until};

const TRIAL: &str = "/etc/tidegate/trial.tide";
/// Whoever goes back, has.
const OVER: &str = "! [ -e /run/tidegate/trial.json ]";
const UNITS: &str = "systemctl list-units --all --plain --no-legend 'tidegate-return-*'";

/// The same shop, where the site is for somebody else than the office.
fn narrower() -> String {
    let of_another = "expose 80/tcp as 8080 from admin";
    let lines = SHOP.lines().filter(|line| !line.contains("80,9187/tcp"));
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    let text = text.replace("expose 80/tcp as 8080 from office", of_another);
    assert!(text.contains(of_another));
    text.replace(
        "trust office {",
        "trust admin { 192.0.2.99, 2001:db8::99 }\ntrust office {",
    )
}

impl Shop {
    /// The trial's rules are in force, and the office is not served by them.
    #[track_caller]
    fn tries_out(&self, within: &str) {
        self.host
            .run(&format!("tidegate apply --confirm {within} {TRIAL}"));
        self.is_on_trial();
    }

    #[track_caller]
    fn is_on_trial(&self) {
        self.lab.office.is_refused("192.0.2.1:8080");
        let status = self.host.run("tidegate status");
        assert!(status.contains("confirmation: "), "{status}");
    }

    /// Waits until the old bundle is in force again by itself, and nothing of the trial is left.
    #[track_caller]
    fn goes_back(&self, what: &str, begin: Instant) {
        until(&self.host, OVER);
        let took = begin.elapsed();
        self.lab.office.is_served("192.0.2.1:8080", "web");
        let status = self.host.run("tidegate status");
        assert!(
            status.starts_with("shop.tide, ") && !status.contains("confirmation: "),
            "{status}"
        );
        self.host.run("tidegate drift");
        until(&self.host, &format!("[ -z \"$({UNITS})\" ]"));
        say(&format!(
            "{what}: back {} ms after apply began",
            took.as_millis()
        ));
        assert!(took < Duration::from_secs(40), "{what}: {took:?}");
    }
}

#[test]
fn what_nobody_confirms_goes_back_by_systemd() {
    let Some(mut shop) = Shop::open("", &[]) else {
        return;
    };
    // It would go back, too, when it finds the time over.
    shop.host.run("systemctl stop tidegate-drift.timer");
    shop.host.put(TRIAL, &narrower());

    let begin = Instant::now();
    shop.tries_out("5s");
    shop.goes_back("nobody confirms", begin);
    shop.host.run("journalctl --sync");
    let log = shop
        .host
        .run("journalctl -b --no-pager -o cat -u 'tidegate-return-*'");
    assert!(
        log.contains("trial.tide, version ") && log.contains("was not confirmed in time"),
        "{log}"
    );
    assert!(!log.contains("error"), "{log}");

    // The shell that asked is killed, with all its processes, while they are at it.
    let begin = Instant::now();
    shop.host.run(&format!(
        "setsid sh -c 'tidegate apply --confirm 6s {TRIAL}; exec sleep 1000' >/dev/null 2>&1 </dev/null &
         shell=$!
         until [ -e /run/tidegate/trial.json ]; do sleep 0.01; done
         /bin/kill -KILL -- -$shell"
    ));
    shop.goes_back("the shell is killed", begin);

    // A restart of the engine leaves it on trial, and does not put off its end.
    let begin = Instant::now();
    shop.tries_out("12s");
    shop.host
        .run("systemctl reset-failed docker; systemctl restart docker");
    until(&shop.host, "systemctl is-active tidegate");
    shop.is_on_trial();
    shop.goes_back("the engine restarts", begin);

    // What is confirmed stays; what boot would load is asked of `status`.
    shop.tries_out("60s");
    shop.host.run("tidegate confirm");
    assert_eq!(shop.host.run(UNITS), "", "nobody is called any more");
    let status = shop.host.run("tidegate status");
    assert!(
        status.starts_with("trial.tide, ") && status.contains("next boot: the same"),
        "{status}"
    );
    shop.lab.office.is_refused("192.0.2.1:8080");
    shop.host.run("tidegate rollback");

    // A boot within the time brings the bundle before.
    shop.tries_out("10m");
    shop.reboot();
    shop.is_well();
    let status = shop.host.run("tidegate status");
    assert!(!status.contains("confirmation: "), "{status}");
    let late = shop.host.attempt("tidegate confirm");
    assert_eq!(late.status.code(), Some(1), "{late:?}");
    shop.nothing_got_in("trials");
}
