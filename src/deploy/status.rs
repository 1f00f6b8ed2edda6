//! What is in force, since when, and what the next boot brings.

use std::fmt::Write as _;

use serde::Serialize;

use super::against;
use super::boot::boot_failure;
use super::confirm::seconds;
use super::drift;
use super::error::Problem;
use super::history::{self, Past};
use super::report::boot_failed;
use super::trial::{self, Trial, short};
use super::{install, store};
use crate::artifact::Bundle;
use crate::diag::finding::{Finding, Weight};
use crate::host::{Host, HostError};

/// A bundle by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InForce {
    pub policy: String,
    pub version: String,
    /// Seconds since 1970, UTC, where it is known.
    pub since: Option<u64>,
}

/// A unit as `systemctl show` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unit {
    pub name: String,
    /// `enabled`, `disabled`, `static`; empty where systemd does not know the unit.
    pub file: String,
    /// `active`, `inactive`, `failed`.
    pub active: String,
    /// Of its last run, as `success` or `exit-code`.
    pub result: String,
}

/// What `tidegate status` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Why this boot did not load the policy in whole, if nothing has done so since.
    pub boot_failed: Option<String>,
    /// The bundle that should be in force; nothing where none is installed.
    pub wanted: Option<InForce>,
    /// The same, where the machine was looked at and does not differ from it.
    pub in_force: Option<InForce>,
    /// How many differences there are; nothing where that is not known, or there is no bundle.
    pub differences: Option<usize>,
    /// Why it is not known.
    pub not_known: Option<String>,
    /// Seconds that a confirmation is waited for; zero where the time is over.
    pub waits: Option<u64>,
    /// What comes back without a confirmation, in words.
    pub otherwise: Option<String>,
    /// The version that the next boot begins with; nothing where it has none.
    pub next_boot: Option<String>,
    /// Whether the units that load it at boot are installed.
    pub installed: bool,
    /// Nothing where systemd does not run.
    pub units: Option<Vec<Unit>>,
    pub history: Vec<Past>,
    /// What runs otherwise than the policy in force says; the worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// Looks at what is recorded, and whether the machine is so; [`drift`](super::drift) tells the differences.
pub fn status(host: &dyn Host) -> Result<Status, Problem> {
    let (mut status, bundle) = recorded(host)?;
    // Others need not wait while the engine is asked.
    status.findings = bundle.map_or_else(Vec::new, |bundle| against::look(host, &bundle));
    Ok(status)
}

/// Returns what is recorded, and the bundle in force.
fn recorded(host: &dyn Host) -> Result<(Status, Option<Bundle>), Problem> {
    let _lock = host.lock()?;
    store::heal(host)?;
    let installed = store::installed(host)?;
    let on_trial = trial::of(host)?;
    let (waits, otherwise) = match &on_trial {
        Some(trial) if !trial.confirmed => {
            let left = trial.left(host)?.map_or(0, seconds);
            (Some(left), Some(trial.back()))
        }
        _ => (None, None),
    };
    let wanted = match &on_trial {
        Some(trial) => Some(of_trial(trial)),
        None => match &installed {
            Some(bundle) => Some(of_bundle(host, bundle)?),
            None => None,
        },
    };
    let compared = wanted.as_ref().map(|_| drift::compared(host));
    let (differences, not_known) = match compared {
        None => (None, None),
        Some(Ok((report, _))) => (Some(report.drifts.len()), None),
        Some(Err(problem)) => (None, Some(problem.to_string())),
    };
    let units = units(host)?;
    let next_boot = next_boot(host, installed.as_ref());
    let bundle = match &on_trial {
        Some(_) => Some(Trial::bundle(host)?),
        None => installed,
    };
    let status = Status {
        boot_failed: boot_failure(host)?,
        in_force: wanted.clone().filter(|_| differences == Some(0)),
        wanted,
        differences,
        not_known,
        waits,
        otherwise,
        next_boot,
        installed: install::is_installed(host),
        units,
        history: history::list(host),
        findings: Vec::new(),
    };
    Ok((status, bundle))
}

fn of_trial(trial: &Trial) -> InForce {
    InForce {
        policy: trial.policy.clone(),
        version: trial.version.clone(),
        since: Some(trial.since),
    }
}

fn of_bundle(host: &dyn Host, bundle: &Bundle) -> Result<InForce, HostError> {
    Ok(InForce {
        policy: bundle.manifest().policy.clone(),
        version: bundle.version().to_owned(),
        since: host.modified(store::MANIFEST)?,
    })
}

/// Returns the version that a boot begins with, whatever this one began with.
fn next_boot(host: &dyn Host, installed: Option<&Bundle>) -> Option<String> {
    let early = host.read_folder(store::BOOT).ok().flatten();
    let early = early.and_then(|files| Bundle::read(files).ok());
    let next = early.as_ref().or(installed);
    next.map(|bundle| bundle.version().to_owned())
}

pub(super) fn units(host: &dyn Host) -> Result<Option<Vec<Unit>>, HostError> {
    let names = install::unit_names();
    Ok(host.units(&names)?.map(|text| parse(&text)))
}

/// Reads what `systemctl show` prints: `Key=value` lines, an empty one between units.
fn parse(text: &str) -> Vec<Unit> {
    let blocks = text.split("\n\n").map(str::trim);
    let value = |block: &str, key: &str| {
        let mut lines = block.lines().filter_map(|line| line.split_once('='));
        let found = lines.find(|(name, _)| *name == key);
        found.map_or("", |(_, value)| value).to_owned()
    };
    let unit = |block: &str| Unit {
        name: value(block, "Id"),
        file: value(block, "UnitFileState"),
        active: value(block, "ActiveState"),
        result: value(block, "Result"),
    };
    blocks.filter(|block| !block.is_empty()).map(unit).collect()
}

impl Status {
    /// Returns it as JSON, with a line end.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Returns it for people.
    pub fn text(&self) -> String {
        let failed = self.boot_failed.as_deref().map(boot_failed);
        let mut text = failed.unwrap_or_default() + &self.now();
        if let (Some(left), Some(back)) = (self.waits, &self.otherwise) {
            let _ = writeln!(text, "confirmation: {left} s left, then {back} comes back");
        }
        let _ = writeln!(text, "next boot: {}", self.boot());
        for unit in self.units.iter().flatten() {
            let file = if unit.file.is_empty() {
                "not installed"
            } else {
                &unit.file
            };
            let failed = match unit.result.as_str() {
                "" | "success" => String::new(),
                result => format!(", last run: {result}"),
            };
            let _ = writeln!(text, "{}: {file}, {}{failed}", unit.name, unit.active);
        }
        for finding in &self.findings {
            text.push_str(&finding.text());
        }
        if !self.history.is_empty() {
            text.push_str("history, newest first:\n");
        }
        for past in &self.history {
            let time = day_and_time(past.since);
            let _ = writeln!(
                text,
                "    {}  {time}  {}",
                short(&past.version),
                past.policy
            );
        }
        text
    }

    /// Says what is in force, in lines.
    fn now(&self) -> String {
        let Some(wanted) = &self.wanted else {
            return "no bundle is in force\n".to_owned();
        };
        let since = wanted.since.map(day_and_time);
        let since = since.map(|since| format!(" since {since}"));
        let state = match (self.differences, &self.not_known) {
            (Some(0), _) => format!("in force{}", since.unwrap_or_default()),
            (Some(1), _) => {
                "the machine differs in 1 thing\ndrift: `tidegate drift` tells it".to_owned()
            }
            (Some(count), _) => {
                format!("the machine differs in {count} things\ndrift: `tidegate drift` tells them")
            }
            (None, why) => {
                let why = why.as_deref().unwrap_or_default();
                format!("not known whether it is in force\nreason: {why}")
            }
        };
        let version = short(&wanted.version);
        format!("{}, version {version}: {state}\n", wanted.policy)
    }

    /// Returns whether all that should be in force is known to be, and nothing runs otherwise than the
    /// policy says.
    pub fn is_fine(&self) -> bool {
        let rules = self.wanted.is_none() || self.in_force.is_some();
        let engine = self.findings.iter().all(|it| it.weight == Weight::Note);
        self.boot_failed.is_none() && rules && engine
    }

    fn boot(&self) -> String {
        let version = match (&self.next_boot, &self.wanted) {
            (None, _) => return "no rules of tidegate".to_owned(),
            (Some(next), Some(now)) if *next == now.version => "the same".to_owned(),
            (Some(next), _) => format!("version {}", short(next)),
        };
        if self.installed {
            return version;
        }
        format!("no rules of tidegate; `tidegate install` would have it bring {version}")
    }
}

/// Returns seconds since 1970 as `2026-11-26 23:13:38 UTC`; the calendar is that of
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn day_and_time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_date() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_798_761_599, "2026-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(day_and_time(seconds), text);
        }
    }

    #[test]
    fn units_are_read_as_systemctl_shows_them() {
        let text = "Id=tidegate.service\nLoadState=loaded\nActiveState=active\n\
                    UnitFileState=enabled\nResult=success\n\n\
                    Id=tidegate-drift.timer\nLoadState=not-found\nActiveState=inactive\n\
                    UnitFileState=\nResult=success\n";
        let units = parse(text);
        assert_eq!(units.len(), 2);
        assert_eq!(
            (&*units[0].name, &*units[0].file),
            ("tidegate.service", "enabled")
        );
        assert_eq!((&*units[1].file, &*units[1].active), ("", "inactive"));
    }
}
