//! A machine without any engine: its one container is a namespace on a bridge.

use super::reboot::is_up;
use crate::support::client::Client;
use crate::support::lab::{Host, machine};

const POLICY: &str = include_str!("no-engine.tide");
const WEB: [&str; 2] = ["192.0.2.1:8080", "[2001:db8::1]:8080"];

/// What stands for an engine: it makes the bridge and the container, and no rule.
const MAKE: &str = "#!/bin/sh -e
ip link add br-shop type bridge
ip addr add 172.28.0.1/16 dev br-shop
ip addr add fd00:28::1/64 dev br-shop nodad
ip link set br-shop up
ip netns add web
ip link add web type veth peer name eth0 netns web
ip link set web master br-shop up
ip -n web addr add 172.28.0.10/16 dev eth0
ip -n web addr add fd00:28::10/64 dev eth0 nodad
ip -n web link set eth0 up
ip -n web route add default via 172.28.0.1
ip -n web route add default via fd00:28::1
mkdir -p /run/www
echo web >/run/www/index.html
for port in 80 84 9187; do ip netns exec web busybox httpd -p $port -h /run/www; done
";

const UNIT: &str = "[Unit]
After=tidegate-guard.service
Before=tidegate.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/make-containers
[Install]
WantedBy=multi-user.target
";

pub(super) fn replace_the_engine(host: &Host) {
    host.put("/usr/local/sbin/make-containers", MAKE);
    host.put("/etc/systemd/system/containers.service", UNIT);
    host.run("chmod 755 /usr/local/sbin/make-containers && systemctl enable containers");
    host.run("rm -rf /lib/systemd/system/docker.* /etc/systemd/system/docker.*");
    // Its old script would be a unit of that name, too.
    host.run("rm -f /etc/init.d/docker");
}

#[test]
fn a_boot_without_an_engine_closes_and_publishes() {
    let Some((lab, mut machine)) = machine() else {
        return;
    };
    let host = machine.boot();
    is_up(&host);
    replace_the_engine(&host);
    machine.shut_down(&host);

    machine.install(POLICY, &[]);
    let storm = lab.outside.storm(&WEB);
    let host = machine.boot();
    is_up(&host);
    let engine = host.attempt("systemctl cat docker.service");
    assert!(!engine.status.success(), "the engine is still there");
    for address in WEB {
        lab.office.is_served(address, "web");
    }
    Client::of_namespace(host.path("/proc/1/ns/net")).is_served("127.0.0.1:8084", "web");
    host.run("tidegate drift");
    storm.goes_on_for(100);
    storm.got_nowhere();
    machine.shut_down(&host);
}
