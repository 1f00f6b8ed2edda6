//! Rules that somebody flushes come back.

use std::time::Duration;

use super::booted::{Shop, hurry_the_timer, is_long};

/// Every table of both families, emptied as people do it.
const FLUSH: &str = "for tool in iptables ip6tables; do
    for table in raw mangle nat filter; do $tool -t $table -F; $tool -t $table -X; done
    $tool -P FORWARD ACCEPT
done";

/// An administrator's own file, loaded without `--noflush`.
const RESTORE: &str = "for tool in iptables ip6tables; do
    $tool-restore <<'RULES'
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
COMMIT
*mangle
:FORWARD ACCEPT [0:0]
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
RULES
done";

/// What docs/boot.md says of the timer.
pub(super) const A_MINUTE: Duration = Duration::from_secs(70);
const SOON: Duration = Duration::from_secs(20);

#[test]
fn what_somebody_flushes_is_back_within_a_minute() {
    let Some(mut shop) = Shop::open("", &[]) else {
        return;
    };
    let by = shop.heals("iptables -F, as installed", FLUSH, A_MINUTE);
    assert_eq!(by, ["tidegate-drift"]);
    shop.is_well_after_the_engine_restarts();
    hurry_the_timer(&shop.host);
    let within = if is_long() { A_MINUTE } else { SOON };
    for (what, damage) in [
        ("iptables -F", FLUSH),
        ("iptables-restore without --noflush", RESTORE),
    ] {
        let by = shop.heals(what, damage, within);
        assert_eq!(by, ["tidegate-drift"]);
        shop.is_well_after_the_engine_restarts();
    }
    shop.nothing_got_in("after the last flush");
}
