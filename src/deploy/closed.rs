//! What a boot closes before the rules of a bundle are there: `packaging/closed`.
//!
//! `/usr/lib/tidegate/closed` does it, a script that needs neither tidegate nor a bundle. This puts it in
//! place, writes the names that it cannot know, and takes away what it has loaded by nft. What it loads by
//! iptables are chains named `TIDE-*`, so each [`transaction`](super::transaction) takes them out.

use std::fmt::Write as _;

use super::install::{PACKAGED_UNITS, UNITS, remove_alone};
use crate::artifact::{Bundle, Parties};
use crate::host::{Host, HostError};

pub(super) const UNIT: &str = "tidegate-closed.service";
/// The bridges, uplinks and ports of the last bundle that the script has no other way to know.
pub(super) const NAMES: &str = "/etc/tidegate/closed";
pub(super) const SCRIPT: &str = "/usr/lib/tidegate/closed";
const SCRIPT_TEXT: &str = include_str!("../../packaging/closed/closed");
const DROP_IN_TEXT: &str = include_str!("../../packaging/closed/50-tidegate.conf");
const DROP_IN: &str = "50-tidegate.conf";
/// The engines that must not start without; one that is not there makes its drop-in do nothing.
const ENGINES: [&str; 3] = ["docker", "podman", "podman-restart"];
/// There while the script's rules stand in a table of nft's own.
const BY_NFT: &str = "/run/tidegate/closed-by-nft";
/// What bridges of engines are called by themselves, as the script has it.
const WILDCARDS: [&str; 3] = ["br-", "docker", "podman"];

/// Returns the path below a folder of units, and the text, of each file that engines start with.
pub(super) fn drop_ins(units: &str) -> impl Iterator<Item = (String, &'static str)> + '_ {
    let path = move |engine| format!("{units}/{engine}.service.d/{DROP_IN}");
    ENGINES
        .iter()
        .map(move |engine| (path(engine), DROP_IN_TEXT))
}

/// Puts the script on a machine, and has engines start behind it; where a package brings both, its files
/// are not to be hidden by ours.
pub(super) fn put(host: &dyn Host, is_packaged: bool) -> Result<(), HostError> {
    if is_packaged {
        return remove_drop_ins(host);
    }
    host.write(SCRIPT, SCRIPT_TEXT)?;
    for (path, text) in drop_ins(UNITS) {
        host.write(&path, text)?;
    }
    Ok(())
}

/// Removes what [`put`] has written, first what needs the rest.
pub(super) fn remove(host: &dyn Host, is_packaged: bool) -> Result<(), HostError> {
    remove_drop_ins(host)?;
    if is_packaged {
        return Ok(());
    }
    remove_alone(host, SCRIPT)
}

fn remove_drop_ins(host: &dyn Host) -> Result<(), HostError> {
    let mut paths = drop_ins(UNITS).map(|(path, _)| path);
    paths.try_for_each(|path| remove_alone(host, &path))
}

/// Returns each file that closes containers at boot and is not as this tidegate has it: its path, and what
/// is wrong with it.
pub fn not_whole(host: &dyn Host) -> Result<Vec<(String, &'static str)>, HostError> {
    let mut found = Vec::new();
    let mut look = |paths: Vec<String>, text: &str| -> Result<(), HostError> {
        let there = paths.iter().find(|path| host.exists(path));
        let path = there.or(paths.first()).cloned().unwrap_or_default();
        match host.read_linked(&path)? {
            None => found.push((path, "is not there")),
            Some(now) if now != text => found.push((path, "is not that of this release")),
            Some(_) => {}
        }
        Ok(())
    };
    look(vec![SCRIPT.to_owned()], SCRIPT_TEXT)?;
    for ((ours, text), (packaged, _)) in drop_ins(UNITS).zip(drop_ins(PACKAGED_UNITS)) {
        look(vec![ours, packaged], text)?;
    }
    Ok(found)
}

/// Returns whether a chain is one of the script's; no network's name makes one of these.
pub(super) fn is_chain(name: &str) -> bool {
    ["TIDE-CLOSED", "TIDE-CLOSED-IN", "TIDE-CLOSED-OUT"].contains(&name)
}

/// Returns whether the script's rules stand in a table of nft's own.
pub(super) fn is_by_nft(host: &dyn Host) -> bool {
    host.exists(BY_NFT)
}

/// Takes away what stands in a table of nft's own, once other rules close or nothing is to.
pub(super) fn open(host: &dyn Host) -> Result<(), HostError> {
    if is_by_nft(host) {
        host.remove_nft_table("tidegate-closed")?;
        host.remove(BY_NFT)?;
    }
    Ok(())
}

/// Returns the text of [`NAMES`] for a bundle.
pub(super) fn names(bundle: &Bundle) -> String {
    let mut text =
        "# Written by tidegate with each bundle, and read by /usr/lib/tidegate/closed.\n"
            .to_owned();
    // A bundle whose parties cannot be read is refused elsewhere; what closes without names still does.
    if let Ok(parties) = bundle.parties() {
        of_parties(parties, &mut text);
    }
    text
}

fn of_parties(parties: &Parties, text: &mut String) {
    let is_known = |name: &str| WILDCARDS.iter().any(|start| name.starts_with(start));
    let local = parties.networks.iter().filter(|network| network.local);
    for network in local.filter(|network| !is_known(&network.bridge)) {
        let _ = writeln!(text, "bridge {}", network.bridge);
    }
    for uplink in parties.uplinks.iter().filter(|uplink| is_known(uplink)) {
        let _ = writeln!(text, "uplink {uplink}");
    }
    for port in parties.containers.iter().flat_map(|it| &it.ports) {
        if let Some(line) = port_line(port) {
            let _ = writeln!(text, "{line}");
        }
    }
}

/// Returns the line of a port that is published as in `192.0.2.1:8080->80/tcp`.
fn port_line(port: &str) -> Option<String> {
    let (outer, inner) = port.split_once("->")?;
    let (_, protocol) = inner.split_once('/')?;
    let (address, port) = outer.rsplit_once(':').unwrap_or(("", outer));
    let address = address.trim_matches(['[', ']']);
    let line = format!("port {protocol} {} {address}", port.replace('-', ":"));
    Some(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_written_as_the_script_reads_them() {
        for (port, line) in [
            ("8080->80/tcp", "port tcp 8080"),
            ("8000-8010->80-90/udp", "port udp 8000:8010"),
            ("192.0.2.1:53->53/udp", "port udp 53 192.0.2.1"),
            ("[2001:db8::1]:443->8443/tcp", "port tcp 443 2001:db8::1"),
        ] {
            assert_eq!(port_line(port).as_deref(), Some(line));
        }
    }
}
