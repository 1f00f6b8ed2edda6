//! The rules that netavark 1.14 writes for the networks and published ports of a policy with its iptables
//! driver, in the place of podman where a packet is followed and none runs; see [`super::docker`].

use std::fmt::Write;
use std::net::IpAddr;

use super::docker::View;
use crate::policy::ir::{Network, Policy};

/// Returns the rules of one family for an empty machine.
pub fn rules(policy: &Policy, v6: bool) -> String {
    let view = View::of(policy, v6);
    nat(&view) + &filter(&view)
}

fn subnets<'v>(view: &'v View<'_>) -> impl Iterator<Item = (&'v Network, ipnet::IpNet)> {
    view.open_networks().flat_map(|network| {
        let subnets = network.subnets.iter().copied();
        let own = subnets.filter(|subnet| subnet.addr().is_ipv6() == view.v6);
        own.map(move |subnet| (network, subnet))
    })
}

fn nat(view: &View<'_>) -> String {
    let mut text = "*nat\n:NETAVARK-HOSTPORT-DNAT - [0:0]\n:NETAVARK-HOSTPORT-MASQ - [0:0]\n\
         :NETAVARK-HOSTPORT-SETMARK - [0:0]\n\
         -A PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT\n\
         -A OUTPUT -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT\n\
         -A POSTROUTING -j NETAVARK-HOSTPORT-MASQ\n\
         -A NETAVARK-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE\n\
         -A NETAVARK-HOSTPORT-SETMARK -j MARK --set-xmark 0x2000/0x2000\n"
        .to_owned();
    let many = if view.v6 { "ff00::/8" } else { "224.0.0.0/4" };
    for (network, subnet) in subnets(view) {
        let chain = format!("NETAVARK-{}", network.bridge.0);
        let _ = write!(
            text,
            ":{chain} - [0:0]\n-A POSTROUTING -s {subnet} -j {chain}\n\
             -A {chain} -d {subnet} -j ACCEPT\n-A {chain} ! -d {many} -j MASQUERADE\n"
        );
    }
    text + &translations(view) + "COMMIT\n"
}

/// What a network's own containers and the host's loopback ask is masqueraded, so that answers come back.
fn translations(view: &View<'_>) -> String {
    let mut text = String::new();
    let loopback = if view.v6 { "::1/128" } else { "127.0.0.1/32" };
    for port in view.published() {
        let (address, number) = port.asked;
        let to = address.map(|at| format!("-d {at} ")).unwrap_or_default();
        let asked = format!("{to}-p {} --dport {number}", port.protocol);
        let own = subnets(view).filter(|(_, subnet)| subnet.contains(&port.address));
        let own = own.map(|(_, subnet)| subnet.to_string());
        for source in own.chain([loopback.to_owned()]) {
            let _ = writeln!(
                text,
                "-A NETAVARK-HOSTPORT-DNAT -s {source} {asked} -j NETAVARK-HOSTPORT-SETMARK"
            );
        }
        let inner = match port.address {
            IpAddr::V4(four) => format!("{four}:{}", port.inner),
            IpAddr::V6(six) => format!("[{six}]:{}", port.inner),
        };
        let _ = writeln!(
            text,
            "-A NETAVARK-HOSTPORT-DNAT {asked} -j DNAT --to-destination {inner}"
        );
    }
    text
}

fn filter(view: &View<'_>) -> String {
    let mut text = "*filter\n:NETAVARK_FORWARD - [0:0]\n-A FORWARD -j NETAVARK_FORWARD\n\
         -A NETAVARK_FORWARD -m conntrack --ctstate INVALID -j DROP\n"
        .to_owned();
    for (_, subnet) in subnets(view) {
        let _ = write!(
            text,
            "-A NETAVARK_FORWARD -d {subnet} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
             -A NETAVARK_FORWARD -s {subnet} -j ACCEPT\n"
        );
    }
    text + "COMMIT\n"
}
