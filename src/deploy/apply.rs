//! Brings a machine to a bundle's state: looks, rehearses, loads, reads back, and goes back to
//! what was there if any of it fails.

use std::time::Duration;

use super::boot;
use super::error::{ApplyError, Problem};
use super::job::Job;
use super::rescue::put_installed;
use super::store;
use super::trial::{self, Trial};
use super::{confirm, cut, history};
use crate::artifact::Bundle;
use crate::host::{Host, HostError};

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is said or left out by itself"
)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// The machine is starting: what was there before is no rules at all, so what can be loaded
    /// stays, whatever else fails, and nothing is rehearsed.
    pub boot: bool,
    /// Load it at once: what fails is taken back, and for a rehearsal there is no time.
    pub at_once: bool,
    /// It was in force before: it was rehearsed and compared with the engine then, and must not wait
    /// for an engine that hangs.
    pub again: bool,
    /// Leave connections that lost their permission.
    pub keep_connections: bool,
}

impl Options {
    pub(super) fn at_once() -> Self {
        Options {
            at_once: true,
            ..Options::default()
        }
    }
}

/// A bundle that is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether anything had to be done for it.
    pub changed: bool,
    /// What people should know: parts of the policy that this machine has no use for yet.
    pub notes: Vec<String>,
    /// Why connections that lost their permission may go on.
    pub not_cut: Option<String>,
    /// Tables whose rules were loaded and cannot be read back, each with the reason.
    pub not_compared: Vec<String>,
}

/// Puts a bundle in force and keeps it for the next boot.
pub fn apply(host: &dyn Host, bundle: &Bundle, options: Options) -> Result<Outcome, ApplyError> {
    let _lock = host.lock().map_err(refused)?;
    let notes = confirm::settle_or_refuse(host)?;
    let mut outcome = put_and_keep(host, bundle, options)?;
    outcome.notes.extend(notes);
    Ok(outcome)
}

/// Puts a bundle in force for good, and says which one it replaced.
pub(super) fn put_and_keep(
    host: &dyn Host,
    bundle: &Bundle,
    options: Options,
) -> Result<Outcome, ApplyError> {
    let mut job = Job::new(host, bundle, options).map_err(ApplyError::Refused)?;
    let before = job.replaced.take();
    let mut outcome = job.put(options, NextBoot::ThisBundle)?;
    let now = host.time_of_day();
    let old = before.filter(|old| old.version() != bundle.version());
    if let Some(old) = &old {
        outcome.notes.push(format!(
            "{}, version {}, is kept: `tidegate rollback` goes back to it",
            old.manifest().policy,
            old.short_version()
        ));
    }
    // The bundle is in force: what is written about the past is no reason to say otherwise.
    let written =
        trial::forget_return(host).and_then(|()| remember(host, old.as_deref(), bundle, now));
    if let Err(error) = written {
        let note = format!("the history does not have it: {error}");
        outcome.notes.push(note);
    }
    Ok(outcome)
}

pub(super) fn remember(
    host: &dyn Host,
    old: Option<&Bundle>,
    bundle: &Bundle,
    now: u64,
) -> Result<(), HostError> {
    let all = history::list(host);
    // Installed without an apply, or before there was a history.
    let is_known = |old: &&Bundle| all.iter().any(|past| past.version == old.version());
    if let Some(old) = old.filter(|old| !is_known(old)) {
        history::remember(host, old, host.modified(store::MANIFEST)?.unwrap_or(now))?;
    }
    if all
        .first()
        .is_some_and(|past| past.version == bundle.version())
    {
        return Ok(());
    }
    history::remember(host, bundle, now)
}

/// Puts a bundle with addresses of the moment in force, at once. A boot begins with `closed`, the same
/// policy without them.
pub fn follow(host: &dyn Host, bundle: &Bundle, closed: &Bundle) -> Result<Outcome, ApplyError> {
    let _lock = host.lock().map_err(refused)?;
    let notes = confirm::settle_or_refuse(host)?;
    store::keep_for_boot(host, closed).map_err(refused)?;
    let options = Options::at_once();
    let mut outcome = apply_locked(host, bundle, options, NextBoot::AsBefore)?;
    outcome.notes.extend(notes);
    Ok(outcome)
}

/// Puts the installed bundle in force again, and returns it.
pub fn apply_installed(host: &dyn Host, options: Options) -> Result<(Bundle, Outcome), ApplyError> {
    let _lock = host.lock().map_err(refused)?;
    if !options.boot {
        return again(host, options);
    }
    boot::begun(host);
    again(host, options).inspect_err(|error| boot::ended(host, error))
}

fn again(host: &dyn Host, options: Options) -> Result<(Bundle, Outcome), ApplyError> {
    let notes = match confirm::settle(host)? {
        confirm::Stage::Waits(trial, left) => return apply_trial(host, options, &trial, left),
        confirm::Stage::WentBack(trial, _) => vec![confirm::went_back(&trial)],
        confirm::Stage::Over => Vec::new(),
    };
    let (bundle, mut outcome) = put_installed(host, options)?;
    outcome.notes.extend(notes);
    Ok((bundle, outcome))
}

/// Puts a bundle on trial in force again, which stays on trial: its engine has started again, say.
fn apply_trial(
    host: &dyn Host,
    options: Options,
    trial: &Trial,
    left: Duration,
) -> Result<(Bundle, Outcome), ApplyError> {
    let bundle = Trial::bundle(host).map_err(ApplyError::Refused)?;
    let mut job = Job::new(host, &bundle, options).map_err(ApplyError::Refused)?;
    job.keeps_nothing = true;
    let mut outcome = job.put(options, NextBoot::AsBefore)?;
    outcome.notes.push(format!(
        "it waits for a confirmation, {} s left; then {} comes back",
        confirm::seconds(left),
        trial.back()
    ));
    Ok((bundle, outcome))
}

pub(super) fn installed(host: &dyn Host) -> Result<Bundle, ApplyError> {
    let installed = store::installed(host).map_err(ApplyError::Refused)?;
    installed.ok_or(ApplyError::Refused(Problem::NotInstalled))
}

pub(super) fn refused(error: impl Into<Problem>) -> ApplyError {
    ApplyError::Refused(error.into())
}

/// What a boot is to begin with afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextBoot {
    AsBefore,
    ThisBundle,
}

impl NextBoot {
    /// The last step of an apply: if it fails, everything goes back.
    pub(super) fn arrange(self, host: &dyn Host) -> Result<(), HostError> {
        match self {
            NextBoot::AsBefore => Ok(()),
            NextBoot::ThisBundle => store::keep_current(host),
        }
    }
}

pub(super) fn apply_locked(
    host: &dyn Host,
    bundle: &Bundle,
    options: Options,
    next_boot: NextBoot,
) -> Result<Outcome, ApplyError> {
    let job = Job::new(host, bundle, options).map_err(ApplyError::Refused)?;
    job.put(options, next_boot)
}

/// Does what is left to do once the rules stand, and says what came of all.
pub(super) fn ended(host: &dyn Host, bundle: &Bundle, options: Options, job: Job<'_>) -> Outcome {
    let mut outcome = Outcome {
        changed: true,
        not_compared: job.not_compared(),
        notes: job.notes,
        not_cut: None,
    };
    if !options.keep_connections {
        let cut = cut::cut(host, bundle);
        outcome.notes.extend(cut.notes);
        outcome.not_cut = cut.failed.map(|problem| problem.to_string());
    }
    outcome
}
