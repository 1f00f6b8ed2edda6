//! A true boot, reboot and boot without IPv6, with Debian's own kernel: what machines that share this
//! one's kernel cannot show. It takes minutes: only with `TIDEGATE_QEMU`.

use std::time::Instant;

use super::POLICY;
use super::RUN;
use super::booted::{ALLOWED, FORBIDDEN, SHOP, say};
use crate::support::client::STORM;
use crate::support::emulated::{Emulated, emulated};

/// Keeps what is loaded when the guard is about to start.
const WITNESS: &str = "[Unit]
DefaultDependencies=no
After=systemd-modules-load.service systemd-sysctl.service local-fs.target
Before=tidegate-guard.service
[Service]
Type=oneshot
ExecStart=/bin/cp /proc/modules /run/modules-before
[Install]
WantedBy=multi-user.target
";

const SET_UP: &str = "engine image
docker network create --ipv6 --subnet 172.28.0.0/16 --subnet fd00:28::/64 \
    -o com.docker.network.bridge.name=br-shop -o com.docker.network.bridge.enable_icc=false shop";

#[test]
fn a_kernel_of_its_own_boots_closed() {
    if std::env::var_os("TIDEGATE_QEMU").is_none() {
        say("skipped: an emulated machine takes minutes; TIDEGATE_QEMU=1 runs it");
        return;
    }
    let Some((lab, mut machine)) = emulated() else {
        return;
    };
    let started = Instant::now();
    machine.switch_on("");
    let first = machine.greets();
    is_up(&mut machine);
    machine.run(SET_UP);
    machine.run(&format!(
        "{RUN} --name web -h web --network shop --ip 172.28.0.10 --ip6 fd00:28::10 \
         -v /usr:/usr:ro -p 8080:80 -p 8053:53/udp box 80 9187 53/udp"
    ));
    for address in FORBIDDEN {
        lab.outside.is_served(address, "web");
    }
    install(&mut machine);

    // Until it is down everybody gets in, so it is taken off the segment first.
    machine.run("ip link set eth0 down");
    let storm = lab.outside.storm(&FORBIDDEN);
    machine.begin("systemctl --no-block reboot");
    assert_ne!(machine.greets(), first, "a boot of its own");
    is_up(&mut machine);
    for address in ALLOWED {
        lab.office.is_served(address, "web");
    }
    modules_are_loaded(&mut machine);
    settings_are_made(&mut machine);
    machine.run("tidegate drift");
    storm.goes_on_for(500);
    storm.is_nowhere();
    denials_are_logged(&mut machine);
    let heard = format!("docker exec web busybox grep -c {STORM} /www/heard || :");
    assert_eq!(machine.run(&heard), "0", "datagrams that came in");
    machine.shut_down();

    machine.switch_on("ipv6.disable=1");
    machine.greets();
    is_up(&mut machine);
    machine.run("[ ! -e /proc/sys/net/ipv6 ] && tidegate drift");
    // The engine does not start a container with IPv6 here.
    machine.run("docker rm -f web && docker network rm shop");
    machine.run(
        "docker network create --subnet 172.28.0.0/16 -o com.docker.network.bridge.name=br-shop \
         -o com.docker.network.bridge.enable_icc=false shop",
    );
    machine.run(&format!(
        "{RUN} --name web -h web --network shop --ip 172.28.0.10 -v /usr:/usr:ro \
         -p 8080:80 -p 8053:53/udp box 80 9187 53/udp"
    ));
    machine.run("tidegate drift");
    for address in ALLOWED.iter().filter(|address| !address.contains('[')) {
        lab.office.is_served(address, "web");
    }
    storm.goes_on_for(500);
    say(&format!(
        "three emulated boots in {} s: {} connections tried from outside, {} made",
        started.elapsed().as_secs(),
        storm.tries(),
        storm.through()
    ));
    storm.got_nowhere();
}

fn install(machine: &mut Emulated) {
    let policy = SHOP.replace("host {", "host {\n  log denied limit 100/minute");
    let witness = "/etc/systemd/system/witness.service";
    machine.run(&format!(
        "mkdir -p /etc/tidegate
cat >{POLICY} <<'POLICY'
{policy}
POLICY
cat >{witness} <<'UNIT'
{WITNESS}
UNIT
systemctl enable witness
tidegate install {POLICY}"
    ));
}

fn is_up(machine: &mut Emulated) {
    let state = "systemctl is-system-running | grep -qE 'running|degraded'";
    machine.until(state);
    let failed = machine.run("systemctl list-units --failed --no-legend --plain");
    assert_eq!(
        failed,
        "",
        "{}",
        machine.run("journalctl -b -p 4 --no-pager")
    );
    let order = machine.run(
        "for unit in tidegate-guard docker tidegate; do
             systemctl show -p ActiveEnterTimestampMonotonic --value $unit; done",
    );
    say(&format!(
        "microseconds of guard, docker, tidegate: {order:?}"
    ));
}

fn modules_are_loaded(machine: &mut Emulated) {
    let before = machine.run("cut -d' ' -f1 /run/modules-before");
    let before: Vec<_> = before.lines().collect();
    assert!(before.contains(&"br_netfilter"), "{before:?}");
    assert!(!before.contains(&"nf_conntrack"), "{before:?}");
    machine.run("[ -d /sys/module/nf_conntrack ]");
    machine.run(
        "for name in $(cat /etc/modules-load.d/tidegate.conf); do [ -d /sys/module/$name ]; done",
    );
}

fn settings_are_made(machine: &mut Emulated) {
    machine.run(
        "grep -v '^#' /etc/sysctl.d/90-tidegate.conf | while IFS='= ' read -r key value; do
             [ \"$(sysctl -n $key)\" = \"$value\" ] || { echo $key; exit 1; }; done",
    );
}

/// The kernel's log is not a namespace's to see.
fn denials_are_logged(machine: &mut Emulated) {
    let lines = machine.run("journalctl -k --no-pager | grep -c 'SRC=192.0.2.66' || :");
    say(&format!("{lines} lines in the kernel's log"));
    assert_ne!(lines, "0");
}
