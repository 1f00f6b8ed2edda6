//! The packages of `packaging/build.sh` on a machine with systemd: installed, upgraded, removed and
//! purged.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::reboot::is_up;
use super::{POLICY, SHOP, WEB, make_network, start_web};
use crate::support::lab::{Host, Lab, REQUIRED, machine};

/// The folder with two versions of both packages.
const PACKAGES: &str = "TIDEGATE_PACKAGES";

/// The version that is upgraded to, an argument of `packaging/build.sh`.
const NEXT: &str = "99.0.0";

const UNITS: &str = "tidegate-guard.service tidegate.service tidegate-drift.timer";

/// What tidegate and its packages may leave on a disk, but for the policy and what package managers
/// keep of their own.
const FILES: &str = "find /etc /lib/systemd /run/tidegate /usr /var/lib -xdev -name '*tidegate*' \
     -not -path '/etc/tidegate*' -not -path '/var/lib/rpm/*' 2>/dev/null || :";

/// Both versions of one package, the older one first.
struct Versions {
    old: PathBuf,
    new: PathBuf,
}

/// Returns the packages whose names end in `ending`, or nothing, with the reason printed.
fn versions(ending: &str) -> Option<Versions> {
    let Some(folder) = env::var_os(PACKAGES) else {
        let reason = format!("{PACKAGES} names no folder; tests/run.sh makes one");
        assert!(env::var_os(REQUIRED).is_none(), "{REQUIRED}: {reason}");
        writeln!(io::stderr(), "skipped, no packages here: {reason}").ok();
        return None;
    };
    let (new, old) = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension() == Some(&OsString::from(ending)))
        .partition::<Vec<_>, _>(|path| path.to_string_lossy().contains(NEXT));
    let only = |mut paths: Vec<PathBuf>| {
        assert_eq!(paths.len(), 1, "one package of a version: {paths:?}");
        paths.remove(0)
    };
    Some(Versions {
        old: only(old),
        new: only(new),
    })
}

/// Copies a package to the machine and returns where it is there.
fn send(host: &Host, package: &Path) -> String {
    let name = package.file_name().expect("a file").to_string_lossy();
    let there = format!("/root/{name}");
    fs::copy(package, host.path(&there)).expect("the machine's disk is writable");
    there
}

/// Starts a shop, which everybody reaches, on a machine without tidegate.
fn open_shop(lab: &Lab, host: &Host) {
    is_up(host);
    // The one that is to be tested comes in a package.
    host.run("rm /usr/local/sbin/tidegate; engine image");
    make_network(host);
    start_web(host);
    outside_is_served(lab);
}

fn outside_is_served(lab: &Lab) {
    for address in WEB {
        lab.outside.is_served(address, "web");
    }
}

fn office_is_served(lab: &Lab) {
    for address in WEB {
        lab.office.is_served(address, "web");
    }
}

/// Puts the policy in force with the package's program.
fn put_in_force(lab: &Lab, host: &Host) {
    host.put(POLICY, SHOP);
    host.run(&format!(
        "tidegate install {POLICY}; systemctl start {UNITS}"
    ));
    office_is_served(lab);
    // Copies would hide what the next version brings.
    let copies = "ls /etc/systemd/system/tidegate* 2>/dev/null || :";
    assert_eq!(host.run(copies), "");
    let link = "readlink /etc/systemd/system/docker.service.wants/tidegate-guard.service";
    let target = host.run(link);
    assert!(
        target.ends_with("/lib/systemd/system/tidegate-guard.service\n"),
        "{target}"
    );
}

/// Checks that rules and units are as they should be.
fn is_in_force(lab: &Lab, host: &Host) {
    office_is_served(lab);
    host.run("tidegate drift");
    host.run(&format!("systemctl is-active {UNITS}"));
    host.run(&format!("systemctl is-enabled {UNITS}"));
}

/// Returns our rules, whichever iptables has them.
fn rules(host: &Host) -> Vec<String> {
    let all = host.run("iptables-save; ip6tables-save");
    let ours = all.lines().filter(|line| line.contains("TIDE-"));
    ours.map(str::to_owned).collect()
}

fn has_rules(host: &Host) -> bool {
    !rules(host).is_empty()
}

/// Upgrades with `command` under a storm that the rules keep out.
fn upgrade(lab: &Lab, host: &Host, command: &str) {
    let storm = lab.outside.storm(&WEB);
    storm.goes_on_for(100);
    let since = "systemctl show -p ExecMainStartTimestampMonotonic tidegate-guard";
    let before = host.run(since);
    host.run(command);
    assert_ne!(host.run(since), before, "the new program applied nothing");
    storm.goes_on_for(100);
    is_in_force(lab, host);
    storm.got_nowhere();
}

/// Checks that a removal put the rules out of force, and kept the bundle.
fn is_removed(lab: &Lab, host: &Host) {
    let (left, journal) = (rules(host), "journalctl -o cat -u 'tidegate*' | tail -n 30");
    assert!(
        left.is_empty(),
        "{}\n{}",
        left.join("\n"),
        host.run(journal)
    );
    outside_is_served(lab);
    host.run("[ -e /var/lib/tidegate/current/manifest.json ]");
    for path in ["/usr/sbin/tidegate", "/etc/sysctl.d/90-tidegate.conf"] {
        host.run(&format!("[ ! -e {path} ]"));
    }
}

#[test]
fn a_debian_package_keeps_the_rules_in_force_until_it_is_removed() {
    let Some(debs) = versions("deb") else {
        return;
    };
    let Some((lab, mut machine)) = machine() else {
        return;
    };
    let host = machine.boot();
    open_shop(&lab, &host);
    let (old, new) = (send(&host, &debs.old), send(&host, &debs.new));
    host.run(&format!("dpkg -i {old}"));
    put_in_force(&lab, &host);
    upgrade(&lab, &host, &format!("dpkg -i {new}"));
    let version = host.run("dpkg-query -W -f '${Version}' tidegate");
    assert_eq!(version, format!("{NEXT}-1"));

    // The bundle that stayed is in force again with the package.
    host.run("dpkg -r tidegate");
    is_removed(&lab, &host);
    host.run(&format!("dpkg -i {new}"));
    let storm = lab.outside.storm(&WEB);
    is_in_force(&lab, &host);
    storm.goes_on_for(100);
    storm.got_nowhere();

    host.run("dpkg -P tidegate");
    assert!(!has_rules(&host));
    outside_is_served(&lab);
    assert_eq!(host.run(FILES), "");
    assert_eq!(host.run("ls /etc/tidegate"), "shop.tide\n");
    machine.shut_down(&host);
    is_up(&machine.boot());
}

#[test]
fn an_rpm_keeps_the_rules_in_force_until_it_is_removed() {
    let Some(rpms) = versions("rpm") else {
        return;
    };
    let Some((lab, mut machine)) = machine() else {
        return;
    };
    let host = machine.boot();
    open_shop(&lab, &host);
    let (old, new) = (send(&host, &rpms.old), send(&host, &rpms.new));
    // Debian's rpm knows nothing of the packages that Debian has.
    let rpm = "rpm $(rpm --force-debian --version >/dev/null 2>&1 && echo --force-debian) --nodeps";
    host.run(&format!("{rpm} -i {old}"));
    put_in_force(&lab, &host);
    upgrade(&lab, &host, &format!("{rpm} -U {new}"));
    let version = host.run("rpm -q --qf '%{VERSION}' tidegate");
    assert_eq!(version, NEXT);
    host.run(&format!("{rpm} -e tidegate"));
    is_removed(&lab, &host);
    host.run(&format!("{rpm} -i {new}"));
    is_in_force(&lab, &host);
}
