//! Puts tidegate on a machine for good, and takes it away.

use super::apply::{converge, families};
use super::error::Problem;
use super::routes;
use super::state::TideState;
use super::store::{self, Fragment};
use crate::artifact::Bundle;
use crate::host::{Host, HostError};

const PROGRAM: &str = "/usr/sbin/tidegate";
pub const POLICIES: &str = "/etc/tidegate";
const MAIN_UNIT: &str = "tidegate.service";
/// A template: its instances are named after policies.
const WATCH_UNIT: &str = "tidegate-watch@.service";
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";
const UNITS: &str = "/etc/systemd/system";

/// A unit file and the units that start it, the `WantedBy=` of its `[Install]`.
struct Unit {
    name: &'static str,
    text: &'static str,
    wanted_by: &'static [&'static str],
}

const UNIT_FILES: [Unit; 5] = [
    Unit {
        name: "tidegate-drift.service",
        text: include_str!("../../systemd/tidegate-drift.service"),
        wanted_by: &[],
    },
    Unit {
        name: "tidegate-drift.timer",
        text: include_str!("../../systemd/tidegate-drift.timer"),
        wanted_by: &["timers.target"],
    },
    Unit {
        name: "tidegate-guard.service",
        text: include_str!("../../systemd/tidegate-guard.service"),
        wanted_by: &["multi-user.target", "docker.service"],
    },
    Unit {
        name: MAIN_UNIT,
        text: include_str!("../../systemd/tidegate.service"),
        wanted_by: &["multi-user.target", "docker.service"],
    },
    Unit {
        name: WATCH_UNIT,
        text: include_str!("../../systemd/tidegate-watch@.service"),
        wanted_by: &[],
    },
];

impl Unit {
    fn path(&self) -> String {
        format!("{UNITS}/{}", self.name)
    }

    /// Returns the links that `systemctl enable` would make.
    fn links(&self) -> impl Iterator<Item = String> {
        let link = |wanting| format!("{UNITS}/{wanting}.wants/{}", self.name);
        self.wanted_by.iter().map(link)
    }

    fn install(&self, host: &dyn Host) -> Result<(), HostError> {
        host.write(&self.path(), self.text)?;
        self.links()
            .try_for_each(|link| host.link(&link, &self.path()))
    }

    fn remove(&self, host: &dyn Host) -> Result<(), HostError> {
        for link in self.links() {
            host.remove(&link)?;
        }
        host.remove(&self.path())
    }
}

/// Returns the units: name, text, and the links that enable each.
pub fn units() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let unit = |unit: &Unit| (unit.name, unit.text, unit.links().collect());
    UNIT_FILES.iter().map(unit).collect()
}

/// Installs the program, its units, and a bundle for the next boot; changes no rule. `watched` is the
/// policy in [`POLICIES`], without its ending, that a unit is to follow.
pub fn install(host: &dyn Host, bundle: &Bundle, watched: Option<&str>) -> Result<(), Problem> {
    let _lock = host.lock()?;
    store::heal(host)?;
    // Before anything is written: rules that apply would refuse are not to be found at boot.
    for family in crate::netfilter::Family::BOTH {
        TideState::of_bundle(bundle, family)?;
    }
    host.copy_program(PROGRAM)?;
    host.make_folder(POLICIES)?;
    for fragment in Fragment::of_bundle(bundle) {
        fragment.put(host)?;
    }
    if !store::is_installed(host, bundle).unwrap_or(false) {
        store::stage(host, bundle)?;
        store::publish(host)?;
    }
    // Units last: what they start is there by now.
    for unit in &UNIT_FILES {
        unit.install(host)?;
    }
    if let Some(name) = watched {
        let link = format!("{WANTS}/{}", instance(name));
        host.link(&link, &format!("{UNITS}/{WATCH_UNIT}"))?;
    }
    Ok(host.systemctl(&["daemon-reload"])?)
}

/// Returns the unit that follows a policy.
pub fn instance(name: &str) -> String {
    WATCH_UNIT.replace('@', &format!("@{name}"))
}

/// Removes the rules from the kernel, and with them all that [`install`] and apply have written.
///
/// Returns what is left as it is, and how to change that.
pub fn uninstall(host: &dyn Host) -> Result<Vec<String>, Problem> {
    // Whoever follows an engine would put its rules back.
    host.systemctl(&["stop", &instance("*")])?;
    let _lock = host.lock()?;
    for family in families(host) {
        converge(host, family, &TideState::uninstalled())?;
    }
    routes::remove(host)?;
    host.remove(store::SYSCTL_D)?;
    host.remove(store::MODULES_LOAD)?;
    store::keep_current(host)?;
    host.remove_folder(store::STATE)?;
    host.remove_empty_folder(POLICIES)?;
    // Without the units, a package brought the program, and takes it away.
    if host.exists(&format!("{UNITS}/{MAIN_UNIT}")) {
        remove_units(host)?;
        host.remove(PROGRAM)?;
    }
    Ok(LEFT.iter().map(|&note| note.to_owned()).collect())
}

/// Stops and removes the units, the one that shows that they are installed last.
fn remove_units(host: &dyn Host) -> Result<(), HostError> {
    let names = UNIT_FILES.iter().map(|unit| unit.name);
    let names = names.filter(|name| *name != WATCH_UNIT);
    let stop: Vec<&str> = ["stop"].into_iter().chain(names).collect();
    host.systemctl(&stop)?;
    for link in host.names(WANTS)? {
        if link.starts_with(WATCH_UNIT.trim_end_matches(".service")) {
            host.remove(&format!("{WANTS}/{link}"))?;
        }
    }
    for unit in &UNIT_FILES {
        unit.remove(host)?;
    }
    host.systemctl(&["daemon-reload"])
}

const LEFT: [&str; 2] = [
    "FORWARD's policy stays as it is; to accept again: iptables -P FORWARD ACCEPT; \
     ip6tables -P FORWARD ACCEPT",
    "kernel settings stay as they are until the next boot",
];
