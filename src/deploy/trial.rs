//! A bundle on trial: in force, but kept nowhere that a boot looks until somebody confirms it.
//!
//! What boot loads stays as it was, so a machine that restarts comes up with the bundle before. The
//! record lies in `/run`, which a restart empties, and names its boot, should it not be emptied:
//!
//! 1. somebody is called for the deadline ([`Host::arm`]), 2. the bundle is written to [`FOLDER`],
//! 3. the record to [`RECORD`], and only then 4. rules change.
//!
//! Killed before 3, nothing has happened; killed later, whoever was called goes back, and so does every tidegate that comes after the time.
//!
//! A confirmation is the record's `confirmed`: from then on the rest is ended by whoever comes next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::state::EngineChain;
use crate::artifact::Bundle;
use crate::host::{Host, HostError, Moment};
use crate::netfilter::Family;
use crate::netfilter::save::ChainPolicy;

pub(super) const FOLDER: &str = "/run/tidegate/trial";
pub(super) const RECORD: &str = "/run/tidegate/trial.json";
/// What became of the last one that nobody confirmed.
const RETURNED: &str = "/run/tidegate/returned.json";

/// The record of a bundle on trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    pub policy: String,
    pub version: String,
    pub deadline: Moment,
    pub confirmed: bool,
    /// The time of day when it came in force.
    pub since: u64,
    pub before: Before,
}

/// What a machine had before, as far as the bundle before does not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The version that was installed; nothing where no bundle was.
    pub version: Option<String>,
    pub families: Vec<FamilyBefore>,
    pub settings: Vec<SettingBefore>,
    /// Lines for `ip -batch`: routes of others for prefixes that the trial took.
    pub routes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilyBefore {
    pub is_v6: bool,
    /// Whether FORWARD's policy was DROP.
    pub drops: bool,
    pub docker_user: DockerUserBefore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DockerUserBefore {
    Absent,
    Jumped,
    Unjumped,
}

impl FamilyBefore {
    pub(super) fn family(&self) -> Family {
        if self.is_v6 { Family::V6 } else { Family::V4 }
    }

    pub(super) fn forward(&self) -> ChainPolicy {
        if self.drops {
            ChainPolicy::Drop
        } else {
            ChainPolicy::Accept
        }
    }

    pub(super) fn engine_chain(&self) -> EngineChain {
        match self.docker_user {
            DockerUserBefore::Absent => EngineChain::Remove,
            DockerUserBefore::Jumped => EngineChain::Leave,
            DockerUserBefore::Unjumped => EngineChain::Unjumped,
        }
    }
}

/// A kernel setting as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingBefore {
    /// Below `/proc/sys`.
    pub path: String,
    pub value: String,
}

/// A bundle that was taken back because nobody confirmed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    pub policy: String,
    pub version: String,
    pub at: Moment,
}

impl Trial {
    /// Returns how long a confirmation is still waited for; nothing when the time is over.
    pub fn left(&self, host: &dyn Host) -> Result<Option<Duration>, HostError> {
        Ok(host.moment()?.until(&self.deadline))
    }

    /// Returns what comes back without a confirmation, in words.
    pub fn back(&self) -> String {
        match &self.before.version {
            Some(version) => format!("version {}", short(version)),
            None => "no rules of tidegate".to_owned(),
        }
    }

    /// Returns the bundle itself, its hashes checked.
    pub(super) fn bundle(host: &dyn Host) -> Result<Bundle, Problem> {
        let files = host.read_folder(FOLDER)?.unwrap_or_default();
        Ok(Bundle::read(files)?)
    }

    pub(super) fn write(&self, host: &dyn Host) -> Result<(), HostError> {
        host.write(RECORD, &as_json(self)?)
    }
}

/// Returns the first digits of a version, as commands show it.
pub(super) fn short(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}

fn as_json(value: &impl Serialize) -> Result<String, HostError> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| HostError::NotArmed(error.to_string()))?;
    Ok(text + "\n")
}

/// Returns the record of a bundle on trial in this boot, whether or not its time is over.
///
/// One that cannot be read is none: what is in force is compared with the installed bundle then,
/// which tells the difference.
pub fn of(host: &dyn Host) -> Result<Option<Trial>, HostError> {
    let Some(text) = host.read(RECORD)? else {
        return Ok(None);
    };
    let trial: Option<Trial> = serde_json::from_str(&text).ok();
    let boot = host.moment()?.boot;
    Ok(trial.filter(|trial| trial.deadline.boot == boot))
}

/// Forgets a bundle on trial: the record first, which alone says that there is one.
pub(super) fn forget(host: &dyn Host) -> Result<(), HostError> {
    host.remove(RECORD)?;
    host.remove_folder(FOLDER)
}

/// Returns the bundle that nobody confirmed in time, if that was the last thing to happen.
pub(super) fn returned(host: &dyn Host) -> Result<Option<Returned>, HostError> {
    let text = host.read(RETURNED)?.unwrap_or_default();
    let returned: Option<Returned> = serde_json::from_str(&text).ok();
    let boot = host.moment()?.boot;
    Ok(returned.filter(|returned| returned.at.boot == boot))
}

pub(super) fn note_return(host: &dyn Host, trial: &Trial) -> Result<(), HostError> {
    let returned = Returned {
        policy: trial.policy.clone(),
        version: trial.version.clone(),
        at: host.moment()?,
    };
    host.write(RETURNED, &as_json(&returned)?)
}

pub(super) fn forget_return(host: &dyn Host) -> Result<(), HostError> {
    host.remove(RETURNED)
}
