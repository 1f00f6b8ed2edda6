//! Other firewalls that empty the rules when they start or reload.

use std::time::Duration;

use super::booted::{Shop, hurry_the_timer, until};
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

/// What Docker makes over D-Bus, once, when it finds firewalld running; then it asks for a reload.
const ZONE: &str = "/etc/firewalld/zones/docker.xml";

#[test]
fn what_firewalld_undoes_is_back() {
    let Some(mut shop) = Shop::open("firewalls", &FIREWALLS) else {
        return;
    };
    // The zone of Debian's choice forwards what was translated, and rejects everything else.
    shop.host.run(
        "sed -i s/^DefaultZone=.*/DefaultZone=trusted/ /etc/firewalld/firewalld.conf
         systemctl unmask firewalld && systemctl enable firewalld",
    );
    hurry_the_timer(&shop.host);
    let restart = "systemctl reset-failed docker; systemctl restart docker";
    for (what, damage, by) in [
        ("start", "systemctl start firewalld", "tidegate-drift"),
        ("the engine beside it", restart, "tidegate"),
        (
            "systemctl reload",
            "systemctl reload firewalld",
            "tidegate-drift",
        ),
        (
            "firewall-cmd --reload",
            "firewall-cmd --reload",
            "tidegate-drift",
        ),
    ] {
        let had_zone = shop.host.path(ZONE).exists();
        let healed = shop.heals(&format!("firewalld, {what}"), damage, A_MINUTE);
        assert!(healed.contains(&by), "{what}: {healed:?}");
        let made = !had_zone && shop.host.path(ZONE).exists();
        assert_eq!(made, damage == restart, "{what}: Docker makes its zone");
    }
    // With the zone there, Docker asks for no reload: closed throughout. What the proxy still sends to
    // those who came in by a window ends with the boot.
    shop.reboot();
    shop.is_well();
    shop.is_well_after_the_engine_restarts();
    shop.tell_times("a boot with firewalld");
    shop.nothing_got_in("a restart of the engine and a boot with firewalld");
}
