//! Puts tidegate on a machine for good, and takes it away.

use super::boot;
use super::closed;
use super::confirm;
use super::converge::{converge, families};
use super::error::{ApplyError, Problem};
use super::rehearsed::rehearse;
use super::state::TideState;
use super::store::{self, Fragment};
use super::trial::{self, Trial};
use super::{frames, routes};
use crate::artifact::Bundle;
use crate::host::{Host, HostError, Lock};
use crate::netfilter::Family;

const PROGRAM: &str = "/usr/sbin/tidegate";
pub const POLICIES: &str = "/etc/tidegate";
const MAIN_UNIT: &str = "tidegate.service";
/// A template: its instances are named after policies.
const WATCH_UNIT: &str = "tidegate-watch@.service";
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";
pub(super) const UNITS: &str = "/etc/systemd/system";
/// Takes `--repair` away from the unit that the timer starts; systemd.unit(5) on `.d` folders.
const REPORT_ONLY: &str = "/etc/systemd/system/tidegate-drift.service.d/report-only.conf";
const REPORT_ONLY_TEXT: &str = "\
# Written by `tidegate install --report-only`; `tidegate install` removes it.
[Service]
ExecStart=
ExecStart=/usr/sbin/tidegate drift
";
/// Where packages put units; file-hierarchy(7), systemd.unit(5).
pub(super) const PACKAGED_UNITS: &str = "/usr/lib/systemd/system";

/// A unit file.
struct Unit {
    name: &'static str,
    text: &'static str,
}

const UNIT_FILES: [Unit; 6] = [
    Unit {
        name: closed::UNIT,
        text: include_str!("../../systemd/tidegate-closed.service"),
    },
    Unit {
        name: "tidegate-drift.service",
        text: include_str!("../../systemd/tidegate-drift.service"),
    },
    Unit {
        name: "tidegate-drift.timer",
        text: include_str!("../../systemd/tidegate-drift.timer"),
    },
    Unit {
        name: "tidegate-guard.service",
        text: include_str!("../../systemd/tidegate-guard.service"),
    },
    Unit {
        name: MAIN_UNIT,
        text: include_str!("../../systemd/tidegate.service"),
    },
    Unit {
        name: WATCH_UNIT,
        text: include_str!("../../systemd/tidegate-watch@.service"),
    },
];

impl Unit {
    /// Returns the path of this tool's copy, which comes before a package's file of that name.
    fn path(&self) -> String {
        format!("{UNITS}/{}", self.name)
    }

    fn packaged(&self) -> String {
        format!("{PACKAGED_UNITS}/{}", self.name)
    }

    /// Returns the units that start it, of its `[Install]`; a template has none, only its instances do.
    fn wanted_by(&self) -> impl Iterator<Item = &'static str> {
        let text = if self.name == WATCH_UNIT {
            ""
        } else {
            self.text
        };
        let lines = text.lines();
        lines
            .filter_map(|line| line.strip_prefix("WantedBy="))
            .flat_map(str::split_whitespace)
    }

    /// Returns the links that `systemctl enable` would make.
    fn links(&self) -> impl Iterator<Item = String> {
        let link = |wanting| format!("{UNITS}/{wanting}.wants/{}", self.name);
        self.wanted_by().map(link)
    }

    /// Puts the unit on the machine, and returns where it is.
    ///
    /// A copy of what a package brought would hide what its next version brings.
    fn put(&self, host: &dyn Host) -> Result<String, HostError> {
        if host.read_linked(&self.packaged())?.as_deref() == Some(self.text) {
            host.remove(&self.path())?;
            return Ok(self.packaged());
        }
        host.write(&self.path(), self.text)?;
        Ok(self.path())
    }

    fn install(&self, host: &dyn Host) -> Result<String, HostError> {
        let path = self.put(host)?;
        for link in self.links() {
            host.link(&link, &path)?;
        }
        Ok(path)
    }

    /// Removes what [`Unit::install`] has made; a package's file stays.
    fn remove(&self, host: &dyn Host) -> Result<(), HostError> {
        for link in self.links() {
            remove_alone(host, &link)?;
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
    if let Some(trial) = trial::of(host)? {
        return Err(confirm::waiting(
            &trial,
            trial.left(host)?.unwrap_or_default(),
        ));
    }
    rehearse_all(host, bundle)?;
    host.copy_program(PROGRAM)?;
    host.make_folder(POLICIES)?;
    for fragment in Fragment::of_bundle(bundle) {
        fragment.put(host)?;
    }
    if !store::is_installed(host, bundle).unwrap_or(false) {
        store::stage(host, bundle)?;
        store::publish(host)?;
    }
    closed::put(host, is_packaged(host, closed::UNIT))?;
    // Units last: what they start is there by now.
    for unit in &UNIT_FILES {
        let path = unit.install(host)?;
        if let (WATCH_UNIT, Some(name)) = (unit.name, watched) {
            host.link(&format!("{WANTS}/{}", instance(name)), &path)?;
        }
    }
    Ok(host.systemctl(&["daemon-reload"])?)
}

/// Does what apply does before it writes anything: rules that it would refuse are not to be found at boot.
fn rehearse_all(host: &dyn Host, bundle: &Bundle) -> Result<(), Problem> {
    bundle.check()?;
    let wanted = |family| Ok((family, TideState::of_bundle(bundle, family)?));
    let wanted: Vec<_> = Family::BOTH
        .into_iter()
        .map(wanted)
        .collect::<Result<_, Problem>>()?;
    let families = families(host);
    let wanted = wanted
        .iter()
        .filter(|(family, _)| families.contains(family));
    rehearse(
        host,
        bundle,
        wanted.map(|(family, wanted)| (*family, wanted)),
    )
}

/// Has the timer only report what differs, or mend it as well.
pub fn report_only(host: &dyn Host, yes: bool) -> Result<(), Problem> {
    let _lock = host.lock()?;
    if yes {
        host.write(REPORT_ONLY, REPORT_ONLY_TEXT)?;
    } else {
        remove_alone(host, REPORT_ONLY)?;
    }
    Ok(host.systemctl(&["daemon-reload"])?)
}

/// Removes a file, and its folder if that is empty then.
pub(super) fn remove_alone(host: &dyn Host, path: &str) -> Result<(), HostError> {
    host.remove(path)?;
    match path.rsplit_once('/') {
        Some((folder, _)) => host.remove_empty_folder(folder),
        None => Ok(()),
    }
}

/// Returns whether a unit is there that loads the rules at boot; a package has it elsewhere.
pub(super) fn is_installed(host: &dyn Host) -> bool {
    let units = [UNITS, PACKAGED_UNITS].map(|folder| format!("{folder}/{MAIN_UNIT}"));
    units.iter().any(|unit| host.exists(unit))
}

/// Returns whether a package has brought a unit.
fn is_packaged(host: &dyn Host, unit: &str) -> bool {
    host.exists(&format!("{PACKAGED_UNITS}/{unit}"))
}

/// Returns the units that can be asked about by name: a template is none.
pub(super) fn unit_names() -> Vec<&'static str> {
    let names = UNIT_FILES.iter().map(|unit| unit.name);
    names.filter(|name| *name != WATCH_UNIT).collect()
}

/// Returns the unit that follows a policy.
pub fn instance(name: &str) -> String {
    WATCH_UNIT.replace('@', &format!("@{name}"))
}

/// Removes the rules from the kernel, and with them all that [`install`] and apply have written.
///
/// Returns what is left as it is, and how to change that. What fails half way can be done again.
pub fn uninstall(host: &dyn Host) -> Result<Vec<String>, ApplyError> {
    let _lock = calm(host)?;
    take_away(host).map_err(ApplyError::Begun)
}

/// Removes the rules from the kernel and the files under /etc that would have settings without them,
/// and stops the units. The bundle stays, and so does what starts it at boot.
///
/// Returns what is left as it is, and how to change that. What fails half way can be done again.
pub fn disarm(host: &dyn Host) -> Result<Vec<String>, ApplyError> {
    let _lock = calm(host)?;
    put_down(host).map_err(ApplyError::Begun)
}

/// Removes the rules from the kernel, as one iptables has them, and nothing else.
pub fn clear(host: &dyn Host) -> Result<(), ApplyError> {
    let _lock = calm(host)?;
    clear_rules(host).map_err(ApplyError::Begun)
}

fn clear_rules(host: &dyn Host) -> Result<(), Problem> {
    let all = families(host).into_iter();
    all.map(|family| converge(host, family, &TideState::uninstalled()))
        .fold(Ok(()), Result::and)
}

/// Stops whoever follows an engine, who would put its rules back, and takes the lock.
fn calm(host: &dyn Host) -> Result<Lock, ApplyError> {
    let stopped = host.systemctl(&["stop", &instance("*")]);
    let lock = stopped.and_then(|()| host.lock());
    lock.map_err(|error| ApplyError::Refused(error.into()))
}

fn take_away(host: &dyn Host) -> Result<Vec<String>, Problem> {
    take_out_of_force(host)?;
    store::keep_current(host)?;
    host.remove_folder(store::STATE)?;
    host.remove_empty_folder(POLICIES)?;
    let mut left = LEFT.map(str::to_owned).to_vec();
    let copied = host.exists(&format!("{UNITS}/{MAIN_UNIT}"));
    if is_packaged(host, MAIN_UNIT) {
        remove_units(host)?;
        left.push(PACKAGE_LEFT.to_owned());
    } else if copied {
        remove_units(host)?;
        host.remove(PROGRAM)?;
    }
    Ok(left)
}

fn put_down(host: &dyn Host) -> Result<Vec<String>, Problem> {
    take_out_of_force(host)?;
    if is_installed(host) {
        stop_units(host)?;
    }
    Ok(LEFT.map(str::to_owned).to_vec())
}

/// Forwarding without the rules would be more open than a machine that never had any, so the
/// settings of the next boot go with them.
fn take_out_of_force(host: &dyn Host) -> Result<(), Problem> {
    clear_rules(host)?;
    routes::remove(host)?;
    if trial::of(host)?.is_some() {
        routes::remove_of(host, &Trial::bundle(host)?)?;
    }
    trial::forget(host)?;
    trial::forget_return(host)?;
    boot::forget(host)?;
    host.disarm();
    closed::open(host)?;
    host.remove(closed::NAMES)?;
    host.remove(store::SYSCTL_D)?;
    host.remove(store::MODULES_LOAD)?;
    // It only closes, and an nft that fails keeps nothing else.
    frames::remove(host)
}

fn stop_units(host: &dyn Host) -> Result<(), HostError> {
    let names = UNIT_FILES.iter().map(|unit| unit.name);
    let names = names.filter(|name| *name != WATCH_UNIT);
    let stop: Vec<&str> = ["stop"].into_iter().chain(names).collect();
    host.systemctl(&stop)
}

/// Stops and removes the units, the one that shows that they are installed last.
fn remove_units(host: &dyn Host) -> Result<(), HostError> {
    stop_units(host)?;
    for link in host.names(WANTS)? {
        if link.starts_with(WATCH_UNIT.trim_end_matches(".service")) {
            host.remove(&format!("{WANTS}/{link}"))?;
        }
    }
    remove_alone(host, REPORT_ONLY)?;
    // Engines would not start without the script that these name.
    closed::remove(host, is_packaged(host, closed::UNIT))?;
    for unit in &UNIT_FILES {
        unit.remove(host)?;
    }
    host.systemctl(&["daemon-reload"])
}

const PACKAGE_LEFT: &str = "program, units and manual are a package's, and stay; to remove them: \
     apt purge tidegate, or dnf remove tidegate";

const LEFT: [&str; 2] = [
    "FORWARD's policy stays as it is; to accept again: iptables -P FORWARD ACCEPT; \
     ip6tables -P FORWARD ACCEPT",
    "kernel settings stay as they are until the next boot",
];
