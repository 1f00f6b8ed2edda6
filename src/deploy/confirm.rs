//! Bundles that have to be confirmed, and the way back.

use std::time::Duration;

use super::apply::{self, NextBoot, Options, Outcome, apply_locked, installed, refused};
use super::converge::converge;
use super::error::{ApplyError, Problem};
use super::job::Job;
use super::state::{EngineChain, TideState, TideTable};
use super::trial::{self, Before, DockerUserBefore, FamilyBefore, SettingBefore, Trial, short};
use super::{closed, frames, history, store};
use crate::artifact::Bundle;
use crate::host::Host;
use crate::netfilter::save::ChainPolicy;
use crate::netfilter::{Family, Table};

/// What becomes of a bundle on trial that somebody asks about.
#[derive(Debug)]
pub enum Stage {
    /// There is none, or it was confirmed.
    Over,
    /// It waits that long.
    Waits(Trial, Duration),
    /// Its time was over, and what was there before is in force again.
    WentBack(Trial, Outcome),
}

/// Ends what was cut short: a change of bundles, a confirmation, a trial whose time is over.
///
/// The lock must be held.
pub(super) fn settle(host: &dyn Host) -> Result<Stage, ApplyError> {
    store::heal(host).map_err(refused)?;
    let Some(trial) = trial::of(host).map_err(refused)? else {
        // What an earlier boot has left, or a call that was cut short, is of no use.
        trial::forget(host).map_err(refused)?;
        return Ok(Stage::Over);
    };
    if trial.confirmed {
        keep(host).map_err(ApplyError::Unfinished)?;
        return Ok(Stage::Over);
    }
    if let Some(left) = trial.left(host).map_err(refused)? {
        return Ok(Stage::Waits(trial, left));
    }
    let outcome = take_back(host, &trial)?;
    Ok(Stage::WentBack(trial, outcome))
}

/// Like [`settle`], for those who must not come in between; returns a note where it went back.
pub(super) fn settle_or_refuse(host: &dyn Host) -> Result<Vec<String>, ApplyError> {
    match settle(host)? {
        Stage::Over => Ok(Vec::new()),
        Stage::Waits(trial, left) => Err(refused(waiting(&trial, left))),
        Stage::WentBack(trial, _) => Ok(vec![went_back(&trial)]),
    }
}

pub(super) fn waiting(trial: &Trial, left: Duration) -> Problem {
    Problem::Waiting {
        policy: trial.policy.clone(),
        version: short(&trial.version).to_owned(),
        seconds: seconds(left),
    }
}

/// Returns whole seconds, rounded up: at none it is over.
pub fn seconds(left: Duration) -> u64 {
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}

/// Says that nobody confirmed a bundle, and what is in force instead.
pub fn went_back(trial: &Trial) -> String {
    format!(
        "{}, version {}, was not confirmed in time: {} is in force again",
        trial.policy,
        short(&trial.version),
        trial.back()
    )
}

/// Puts a bundle in force until it is confirmed, or for `wait` only.
pub fn try_out(
    host: &dyn Host,
    bundle: &Bundle,
    options: Options,
    wait: Duration,
) -> Result<(Outcome, Option<Trial>), ApplyError> {
    let _lock = host.lock().map_err(refused)?;
    let notes = settle_or_refuse(host)?;
    let mut job = Job::new(host, bundle, options).map_err(ApplyError::Refused)?;
    if job.is_done() {
        store::keep_current(host).map_err(refused)?;
        return Ok((job.unchanged(), None));
    }
    job.keeps_nothing = true;
    can_go_back(host, &job).map_err(ApplyError::Refused)?;
    job.prepare().map_err(ApplyError::Refused)?;
    let trial = arm(host, &job, bundle, wait).map_err(ApplyError::Refused)?;
    if let Err(problem) = job.enforce() {
        let error = job.give_up(problem);
        // With the state before in force again there is nothing to go back from.
        if error.old_state_stands() {
            disarm(host).map_err(refused)?;
        }
        return Err(error);
    }
    let mut outcome = apply::ended(host, bundle, options, job);
    outcome.notes.extend(notes);
    Ok((outcome, Some(trial)))
}

/// Refuses a trial whose end would open what was closed because no bundle could be loaded.
fn can_go_back(host: &dyn Host, job: &Job<'_>) -> Result<(), Problem> {
    let is_closed = |table| {
        let tables = job.rules.iter().filter_map(|it| it.before.table(table));
        let mut names = tables.flat_map(|it| it.chains.keys());
        names.any(|name| closed::is_chain(name))
    };
    let is_closed = Table::ALL.into_iter().any(is_closed) || closed::is_by_nft(host);
    if is_closed && store::installed(host)?.is_none() {
        return Err(Problem::NothingButClosed);
    }
    Ok(())
}

/// Calls somebody for the deadline and writes the record; on an error, nothing has happened.
fn arm(host: &dyn Host, job: &Job<'_>, bundle: &Bundle, wait: Duration) -> Result<Trial, Problem> {
    let trial = Trial {
        policy: bundle.manifest().policy.clone(),
        version: bundle.version().to_owned(),
        deadline: host.moment()?.after(wait),
        confirmed: false,
        since: host.time_of_day(),
        before: before(host, job)?,
    };
    host.arm(&trial.deadline)?;
    let written = host
        .write_folder(trial::FOLDER, bundle.files())
        .and_then(|()| trial::forget_return(host))
        .and_then(|()| trial.write(host));
    if written.is_err() {
        // The error says it; whoever was called finds nothing.
        let _ = disarm(host);
    }
    Ok(written.map(|()| trial)?)
}

fn disarm(host: &dyn Host) -> Result<(), crate::host::HostError> {
    trial::forget(host)?;
    host.disarm();
    Ok(())
}

/// Returns what the bundle before does not say about the machine as it is.
fn before(host: &dyn Host, job: &Job<'_>) -> Result<Before, Problem> {
    let version = store::installed(host)?.map(|bundle| bundle.version().to_owned());
    let families = job.rules.iter().filter_map(|rules| {
        let filter = rules.before.table(Table::Filter)?;
        Some(FamilyBefore {
            is_v6: rules.family == Family::V6,
            drops: filter.forward == Some(ChainPolicy::Drop),
            docker_user: match filter.docker_user {
                EngineChain::Remove => DockerUserBefore::Absent,
                EngineChain::Unjumped => DockerUserBefore::Unjumped,
                EngineChain::Leave | EngineChain::Need => DockerUserBefore::Jumped,
            },
        })
    });
    let changed = job.values.iter().filter(|value| !value.is_done());
    let settings = changed.filter_map(|value| {
        let before = value.before.as_deref()?.trim_end();
        Some((value.setting.path.as_str(), before))
    });
    let settings = settings.chain(job.frames.setting_before());
    let settings = settings.map(|(path, value)| SettingBefore {
        path: path.to_owned(),
        value: value.to_owned(),
    });
    Ok(Before {
        version,
        families: families.collect(),
        settings: settings.collect(),
        routes: job.routes.replaced(),
    })
}

/// Puts back in force what was there before a trial, and forgets the trial.
fn take_back(host: &dyn Host, trial: &Trial) -> Result<Outcome, ApplyError> {
    let old = match &trial.before.version {
        None => None,
        Some(_) => Some(installed(host)?),
    };
    // Before the rules, so that nothing is forwarded which the rules of the trial would stop.
    for setting in &trial.before.settings {
        put_back(host, setting).map_err(ApplyError::Unfinished)?;
    }
    let outcome = match &old {
        Some(bundle) => apply_locked(host, bundle, Options::at_once(), NextBoot::AsBefore)?,
        None => clean(host, trial).map_err(ApplyError::Unfinished)?,
    };
    let rest = put_back_policies(host, trial, old.as_ref());
    rest.and_then(|()| put_back_routes(host, trial))
        .map_err(ApplyError::Unfinished)?;
    let noted = trial::note_return(host, trial);
    noted
        .and_then(|()| disarm(host))
        .map_err(|error| ApplyError::Unfinished(error.into()))?;
    Ok(outcome)
}

fn put_back(host: &dyn Host, setting: &SettingBefore) -> Result<(), Problem> {
    // An interface that is gone took its settings along.
    match host.sysctl(&setting.path)? {
        Some(now) if now.trim_end() != setting.value => {
            Ok(host.set_sysctl(&setting.path, &setting.value)?)
        }
        _ => Ok(()),
    }
}

/// Takes all rules of ours away, where there were none.
fn clean(host: &dyn Host, trial: &Trial) -> Result<Outcome, Problem> {
    super::routes::remove_of(host, &Trial::bundle(host)?)?;
    frames::remove(host)?;
    for before in &trial.before.families {
        let filter = TideTable {
            forward: Some(before.forward()),
            docker_user: before.engine_chain(),
            ..TideTable::default()
        };
        let nothing = TideState::from_iter([(Table::Filter, filter)]);
        converge(host, before.family(), &nothing)?;
    }
    Ok(Outcome {
        changed: true,
        ..Outcome::default()
    })
}

/// Puts FORWARD's policy back where the bundle before leaves it to others.
fn put_back_policies(host: &dyn Host, trial: &Trial, old: Option<&Bundle>) -> Result<(), Problem> {
    let Some(old) = old.filter(|old| old.manifest().forward.is_none()) else {
        return Ok(());
    };
    for before in &trial.before.families {
        let wanted = TideState::of_bundle(old, before.family())?.with_forward(before.forward());
        converge(host, before.family(), &wanted)?;
    }
    Ok(())
}

fn put_back_routes(host: &dyn Host, trial: &Trial) -> Result<(), Problem> {
    if trial.before.routes.is_empty() {
        return Ok(());
    }
    Ok(host.routes_batch(&trial.before.routes.concat())?)
}

/// Keeps a bundle on trial for good.
///
/// Errors: none waits; its time is over, and what was before is in force again.
pub fn confirm(host: &dyn Host) -> Result<Trial, ApplyError> {
    let _lock = host.lock().map_err(refused)?;
    match settle(host)? {
        Stage::Waits(mut trial, _) => {
            trial.confirmed = true;
            trial.write(host).map_err(refused)?;
            // It is decided, and whoever comes next ends it.
            keep(host).map_err(ApplyError::Unfinished)?;
            Ok(trial)
        }
        Stage::WentBack(trial, _) => Err(refused(Problem::TooLate(went_back(&trial)))),
        Stage::Over => Err(refused(match trial::returned(host).map_err(refused)? {
            Some(last) => Problem::TooLate(format!(
                "{}, version {}, was not confirmed in time and is no longer in force",
                last.policy,
                short(&last.version)
            )),
            None => Problem::NothingWaits,
        })),
    }
}

/// Makes a bundle on trial the installed one; whatever of it is done already stays.
fn keep(host: &dyn Host) -> Result<(), Problem> {
    let bundle = Trial::bundle(host)?;
    for fragment in store::Fragment::of_bundle(&bundle) {
        fragment.put(host)?;
    }
    if !store::is_installed(host, &bundle).unwrap_or(false) {
        store::stage(host, &bundle)?;
        store::publish(host)?;
    }
    store::keep_current(host)?;
    history::remember(host, &bundle, host.time_of_day())?;
    disarm(host)?;
    Ok(())
}

/// Goes back to what a trial replaced, to the bundle before, or to one of the history.
///
/// Returns the bundle that is in force now; none where a trial was the first.
pub fn rollback(
    host: &dyn Host,
    version: Option<&str>,
    options: Options,
) -> Result<(Option<Bundle>, Outcome), ApplyError> {
    let _lock = host.lock().map_err(refused)?;
    let notes = match settle(host)? {
        Stage::Waits(trial, _) if version.is_none() => {
            let outcome = take_back(host, &trial)?;
            let forgotten = trial::forget_return(host);
            forgotten.map_err(|error| ApplyError::Unfinished(error.into()))?;
            let bundle = store::installed(host).map_err(ApplyError::Unfinished)?;
            return Ok((bundle, outcome));
        }
        Stage::Waits(trial, left) => return Err(refused(waiting(&trial, left))),
        Stage::WentBack(trial, _) => vec![went_back(&trial)],
        Stage::Over => Vec::new(),
    };
    let bundle = history::find(host, version).map_err(ApplyError::Refused)?;
    let mut outcome = apply::put_and_keep(host, &bundle, options)?;
    outcome.notes.extend(notes);
    Ok((Some(bundle), outcome))
}

/// Goes back if the time of a bundle on trial is over; returns what has become of it.
pub fn return_in_time(host: &dyn Host) -> Result<Stage, ApplyError> {
    // Without a record, not even the lock is touched: there is nothing to look after.
    if trial::of(host).map_err(refused)?.is_none() {
        return Ok(Stage::Over);
    }
    let _lock = host.lock().map_err(refused)?;
    settle(host)
}
