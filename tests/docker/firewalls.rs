//! Other firewalls that empty the rules when they start or reload.

use std::time::Duration;

use super::booted::{Shop, is_long, say, until};
use super::flushes::A_MINUTE;

/// What netfilter-persistent loads, in both families.
const KEPT: &str = "*raw
:PREROUTING ACCEPT [0:0]
COMMIT
*mangle
:FORWARD ACCEPT [0:0]
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
";

const FIREWALLS: [&str; 2] = ["netfilter-persistent.service", "firewalld.service"];

/// A unit heals at once; loading takes well below a second on a machine that has nothing else to do.
const AT_ONCE: Duration = Duration::from_secs(10);

#[test]
fn what_netfilter_persistent_undoes_is_back() {
    let Some(mut shop) = Shop::open("firewalls", &FIREWALLS) else {
        return;
    };
    for file in ["rules.v4", "rules.v6"] {
        shop.host.put(&format!("/etc/iptables/{file}"), KEPT);
    }
    shop.host
        .run("systemctl unmask netfilter-persistent && systemctl enable netfilter-persistent");
    let start = "systemctl start netfilter-persistent";
    let restart = "systemctl restart netfilter-persistent";
    for (what, damage, by) in [
        ("start", start, "tidegate-drift"),
        ("restart", restart, "tidegate"),
    ] {
        let what = format!("netfilter-persistent, {what}");
        let healed = shop.heals(&what, damage, AT_ONCE);
        assert!(healed.contains(&by), "{what}: {healed:?}");
    }
    // As often as somebody likes.
    let often = format!(
        "for n in 1 2 3 4 5 6 7 8 9 10; do systemctl reset-failed netfilter-persistent; {restart}; done"
    );
    shop.heals("netfilter-persistent, ten restarts", &often, A_MINUTE);
    until(&shop.host, "systemctl is-active tidegate");
    shop.is_well_after_the_engine_restarts();
    shop.reboot();
    shop.is_well();
    shop.tell_times("a boot with netfilter-persistent");
    shop.nothing_got_in("a boot with netfilter-persistent");
}

/// Two minutes, and only with `TIDEGATE_LONG`.
#[test]
fn what_firewalld_undoes_is_back() {
    if !is_long() {
        say("skipped: firewalld takes minutes; TIDEGATE_LONG=1 runs it");
        return;
    }
    let Some(mut shop) = Shop::open("firewalls", &FIREWALLS) else {
        return;
    };
    shop.host.run(
        "sed -i s/^DefaultZone=.*/DefaultZone=trusted/ /etc/firewalld/firewalld.conf
         systemctl unmask firewalld",
    );
    // Tables were seen emptied once more while Docker restarts for the first time after that.
    let restart = "systemctl reset-failed docker; systemctl restart docker";
    for (what, damage) in [
        ("start", "systemctl start firewalld"),
        ("the engine beside it", restart),
        ("systemctl reload", "systemctl reload firewalld"),
        ("firewall-cmd --reload", "firewall-cmd --reload"),
    ] {
        shop.heals(&format!("firewalld, {what}"), damage, A_MINUTE);
    }
    shop.is_well_after_the_engine_restarts();
}
