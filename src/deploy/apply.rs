//! Brings a machine to a bundle's state: looks, rehearses, loads, reads back, and goes back to
//! what was there if any of it fails.

use std::time::Duration;

use super::engine;
use super::error::{ApplyError, Problem};
use super::plan::transaction;
use super::rehearse::rehearse;
use super::routes::Routes;
use super::settings::{self, Setting};
use super::state::TideState;
use super::store::{self, Fragment};
use super::trial::{self, Trial};
use super::{confirm, cut, history};
use crate::artifact::Bundle;
use crate::host::{Host, HostError};
use crate::netfilter::Family;
use crate::netfilter::save::{self, Tables};

/// How often rules are loaded while others change them; Docker, starting, may do so once or twice.
const ROUNDS: usize = 5;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// The machine is starting: what was there before is no rules at all, so what can be loaded
    /// stays, whatever else fails, and nothing is rehearsed.
    pub boot: bool,
    /// Load it at once: what fails is taken back, and for a rehearsal there is no time.
    pub at_once: bool,
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
    let before = store::installed(host).ok().flatten();
    let mut outcome = apply_locked(host, bundle, options)?;
    store::keep_current(host).map_err(refused)?;
    trial::forget_return(host).map_err(refused)?;
    let now = host.time_of_day();
    let old = before.filter(|old| old.version() != bundle.version());
    if let Some(old) = &old {
        outcome.notes.push(format!(
            "{}, version {}, is kept: `tidegate rollback` goes back to it",
            old.manifest().policy,
            old.short_version()
        ));
    }
    // The bundle is in force; one that is missing in the history is no reason to say otherwise.
    if let Err(error) = remember(host, old.as_ref(), bundle, now) {
        let note = format!("the history does not have it: {error}");
        outcome.notes.push(note);
    }
    Ok(outcome)
}

fn remember(
    host: &dyn Host,
    old: Option<&Bundle>,
    bundle: &Bundle,
    now: u64,
) -> Result<(), HostError> {
    let all = history::list(host)?;
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
    let mut outcome = apply_locked(host, bundle, Options::at_once())?;
    outcome.notes.extend(notes);
    Ok(outcome)
}

/// Puts the installed bundle in force again, and returns it.
pub fn apply_installed(host: &dyn Host, options: Options) -> Result<(Bundle, Outcome), ApplyError> {
    let _lock = host.lock().map_err(refused)?;
    let notes = match confirm::settle(host)? {
        confirm::Stage::Waits(trial, left) => return apply_trial(host, options, &trial, left),
        confirm::Stage::WentBack(trial, _) => vec![confirm::went_back(&trial)],
        confirm::Stage::Over => Vec::new(),
    };
    let early = options.boot.then(|| store::for_boot(host)).flatten();
    let bundle = match early {
        Some(bundle) => bundle,
        None => installed(host)?,
    };
    let mut outcome = apply_locked(host, &bundle, options)?;
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
    job.is_on_trial = true;
    let mut outcome = job.put(options)?;
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

pub(super) fn apply_locked(
    host: &dyn Host,
    bundle: &Bundle,
    options: Options,
) -> Result<Outcome, ApplyError> {
    let job = Job::new(host, bundle, options).map_err(ApplyError::Refused)?;
    job.put(options)
}

/// Does what is left to do once the rules stand, and says what came of all.
pub(super) fn ended(host: &dyn Host, bundle: &Bundle, options: Options, job: Job<'_>) -> Outcome {
    let mut outcome = Outcome {
        changed: true,
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

/// Reads the rules of one family that are in force.
pub(super) fn live(host: &dyn Host, family: Family) -> Result<Tables, Problem> {
    let text = host.save(family)?;
    save::parse(&text).map_err(|error| Problem::Unreadable { family, error })
}

/// Returns the families whose rules this machine can have.
pub(super) fn families(host: &dyn Host) -> Vec<Family> {
    let there = |family: &Family| *family == Family::V4 || host.has_ipv6();
    Family::BOTH.into_iter().filter(there).collect()
}

/// Loads what is missing until nothing is.
pub(super) fn converge(host: &dyn Host, family: Family, wanted: &TideState) -> Result<(), Problem> {
    for _ in 0..ROUNDS {
        let Some(text) = transaction(&live(host, family)?, wanted) else {
            return Ok(());
        };
        let loaded = host.restore(family, &text);
        if let Err(error) = loaded {
            // Had somebody changed the rules between reading and loading, the text is new now.
            let again = transaction(&live(host, family)?, wanted);
            if again.is_some_and(|again| again == text) {
                return Err(Problem::Rejected { family, error });
            }
        }
    }
    Err(Problem::Unstable { family })
}

/// Like [`converge`], but a table that fails does not keep the ones behind it from loading.
fn converge_each(host: &dyn Host, family: Family, wanted: &TideState) -> Result<(), Problem> {
    let ended = converge(host, family, wanted);
    if ended.is_err()
        && let Some(text) = transaction(&live(host, family)?, wanted)
    {
        for table in text.split_inclusive("COMMIT\n") {
            // What fails here is what failed before.
            let _ = host.restore(family, table);
        }
    }
    ended
}

/// One family's rules: as wanted, and as they were.
pub(super) struct Rules {
    pub(super) family: Family,
    pub(super) wanted: TideState,
    pub(super) before: TideState,
    pub(super) is_done: bool,
}

/// One kernel setting: as wanted, and as it was if it was there.
pub(super) struct Value {
    pub(super) setting: Setting,
    pub(super) before: Option<String>,
}

impl Value {
    pub(super) fn is_done(&self) -> bool {
        let before = self.before.as_ref();
        before.is_some_and(|before| settings::same(before, &self.setting.value))
    }
}

/// All that stands between a machine and a bundle.
pub(super) struct Job<'a> {
    host: &'a dyn Host,
    bundle: &'a Bundle,
    pub(super) rules: Vec<Rules>,
    pub(super) modules: Vec<&'a str>,
    pub(super) values: Vec<Value>,
    pub(super) routes: Routes<'a>,
    pub(super) fragments: Vec<Fragment>,
    pub(super) fragments_before: Vec<Fragment>,
    pub(super) is_installed: bool,
    /// It is not to be kept for the next boot yet.
    pub(super) is_on_trial: bool,
    at_once: bool,
    pub(super) notes: Vec<String>,
}

impl<'a> Job<'a> {
    /// Looks at the machine, and changes nothing.
    pub(super) fn new(
        host: &'a dyn Host,
        bundle: &'a Bundle,
        options: Options,
    ) -> Result<Self, Problem> {
        // Both families' rules must be sound, also where only one of them is loaded.
        let wanted = [
            (Family::V4, TideState::of_bundle(bundle, Family::V4)?),
            (Family::V6, TideState::of_bundle(bundle, Family::V6)?),
        ];
        let families = families(host);
        let rules = wanted
            .into_iter()
            .filter(|(family, _)| families.contains(family))
            .map(|(family, wanted)| look_at_rules(host, family, wanted));
        let modules = bundle.manifest().modules.iter().map(String::as_str);
        let fragments = Fragment::of_bundle(bundle);
        let found = fragments.iter().map(|fragment| fragment.found(host));
        let mut job = Job {
            host,
            bundle,
            rules: rules.collect::<Result<_, _>>()?,
            modules: modules.filter(|name| !host.has_module(name)).collect(),
            values: Vec::new(),
            routes: Routes::new(host, bundle)?,
            fragments_before: found.collect::<Result<_, _>>()?,
            fragments: fragments.to_vec(),
            // A folder that cannot be trusted any more is replaced like one that is out of date.
            is_installed: store::is_installed(host, bundle).unwrap_or(false),
            is_on_trial: false,
            at_once: options.at_once,
            notes: Vec::new(),
        };
        if !host.has_ipv6() {
            job.notes.push(NO_IPV6.to_owned());
        }
        job.look_at_settings(options)?;
        if !options.boot {
            job.look_at_engine()?;
        }
        Ok(job)
    }

    /// At boot there may be no engine yet, and the rules must not wait for one. What is installed
    /// already is put back in force whatever the engine has become: what it closes stays closed.
    fn look_at_engine(&mut self) -> Result<(), Problem> {
        let found = engine::look(self.host, self.bundle.manifest())?;
        self.notes.extend(found.notes);
        if found.errors.is_empty() {
            return Ok(());
        }
        if self.is_installed {
            self.notes.extend(found.errors);
            return Ok(());
        }
        Err(Problem::Engine(found.errors.join("; ")))
    }

    fn look_at_settings(&mut self, options: Options) -> Result<(), Problem> {
        for entry in &self.bundle.manifest().sysctls {
            let setting = Setting::new(entry)?;
            match status(self.host, &setting)? {
                SettingStatus::Absent if self.modules.is_empty() && !options.boot => {
                    return Err(no_setting(&setting));
                }
                // A module that is about to be loaded may bring it; at boot, rules come first.
                SettingStatus::Absent => self.values.push(Value {
                    setting,
                    before: None,
                }),
                SettingStatus::Better(why) => self.notes.push(why),
                SettingStatus::Skipped => {}
                SettingStatus::Value(before) => self.values.push(Value {
                    setting,
                    before: Some(before),
                }),
                SettingStatus::Waits(interface) => self.notes.push(format!(
                    "{} will be set when the interface {interface} appears",
                    setting.key
                )),
            }
        }
        Ok(())
    }

    pub(super) fn is_done(&self) -> bool {
        let is_kept = self.fragments == self.fragments_before && self.is_installed;
        self.rules.iter().all(|rules| rules.is_done)
            && self.modules.is_empty()
            && self.values.iter().all(Value::is_done)
            && self.routes.is_done()
            && (self.is_on_trial || is_kept)
    }

    /// Does it, if there is anything to do.
    pub(super) fn put(mut self, options: Options) -> Result<Outcome, ApplyError> {
        let changed = !self.is_done();
        if changed && options.boot {
            self.enforce_what_can_be().map_err(ApplyError::Partial)?;
            self.notes.extend(self.routes.put_what_can_be(self.host));
        } else if changed {
            self.prepare().map_err(ApplyError::Refused)?;
            self.enforce().map_err(|problem| self.give_up(problem))?;
        }
        let outcome = ended(self.host, self.bundle, options, self);
        Ok(Outcome { changed, ..outcome })
    }

    pub(super) fn unchanged(&self) -> Outcome {
        Outcome {
            notes: self.notes.clone(),
            ..Outcome::default()
        }
    }

    /// Does all that can fail without touching anything.
    pub(super) fn prepare(&self) -> Result<(), Problem> {
        if !self.at_once && self.rules.iter().any(|rules| !rules.is_done) {
            for rules in &self.rules {
                rehearse(self.host, rules.family, &rules.wanted)?;
            }
        }
        if !self.is_installed && !self.is_on_trial {
            store::stage(self.host, self.bundle)?;
        }
        Ok(())
    }

    /// Rules come before settings: forwarding must not be on before they are there.
    pub(super) fn enforce(&self) -> Result<(), Problem> {
        for rules in &self.rules {
            converge(self.host, rules.family, &rules.wanted)?;
        }
        for module in &self.modules {
            self.host.load_module(module)?;
        }
        for value in &self.values {
            set(self.host, &value.setting)?;
        }
        self.routes.put(self.host)?;
        self.read_back()?;
        if self.is_on_trial {
            return Ok(());
        }
        for fragment in changed(&self.fragments, &self.fragments_before) {
            fragment.put(self.host)?;
        }
        if !self.is_installed {
            store::publish(self.host)?;
        }
        Ok(())
    }

    /// Loads every table and sets every setting that can be, and returns the first that cannot.
    ///
    /// Without a state worth going back to, half of a policy closes more than none.
    fn enforce_what_can_be(&self) -> Result<(), Problem> {
        let mut ended = Ok(());
        for rules in &self.rules {
            ended = ended.and(converge_each(self.host, rules.family, &rules.wanted));
        }
        for module in &self.modules {
            ended = ended.and(self.host.load_module(module).map_err(Problem::from));
        }
        for value in &self.values {
            ended = ended.and(set(self.host, &value.setting));
        }
        if self.is_on_trial {
            return ended.and_then(|()| self.read_back());
        }
        for fragment in changed(&self.fragments, &self.fragments_before) {
            ended = ended.and(fragment.put(self.host).map_err(Problem::from));
        }
        ended?;
        self.read_back()?;
        if !self.is_installed {
            store::stage(self.host, self.bundle)?;
            store::publish(self.host)?;
        }
        Ok(())
    }

    /// Looks at everything again: one setting may have changed another.
    fn read_back(&self) -> Result<(), Problem> {
        for rules in &self.rules {
            converge(self.host, rules.family, &rules.wanted)?;
        }
        for value in &self.values {
            check(self.host, &value.setting)?;
        }
        Ok(())
    }

    pub(super) fn give_up(&self, problem: Problem) -> ApplyError {
        match self.go_back() {
            Err(back) => ApplyError::Stuck {
                problem: Box::new(problem),
                back: Box::new(back),
            },
            Ok(()) => ApplyError::WentBack(problem),
        }
    }

    /// Puts everything back as far as it goes, and returns the first thing that failed.
    ///
    /// Settings go before rules, so that nothing is forwarded which the rules would have stopped.
    fn go_back(&self) -> Result<(), Problem> {
        let mut ended = self.routes.undo(self.host);
        for value in self.values.iter().rev() {
            ended = ended.and(self.put_back(value));
        }
        for rules in self.rules.iter().rev() {
            ended = ended.and(converge(self.host, rules.family, &rules.before));
        }
        let fragments = changed(&self.fragments_before, &self.fragments);
        for fragment in fragments.filter(|_| !self.is_on_trial) {
            ended = ended.and(fragment.put(self.host).map_err(Problem::from));
        }
        ended.and(store::withdraw(self.host).map_err(Problem::from))
    }

    fn put_back(&self, value: &Value) -> Result<(), Problem> {
        let (Some(before), false) = (&value.before, value.is_done()) else {
            return Ok(());
        };
        set(
            self.host,
            &Setting {
                value: before.trim_end().to_owned(),
                ..value.setting.clone()
            },
        )
    }
}

/// Returns the fragments of `wanted` that `now` has otherwise.
pub(super) fn changed<'f>(
    wanted: &'f [Fragment],
    now: &'f [Fragment],
) -> impl Iterator<Item = &'f Fragment> {
    let pairs = wanted.iter().zip(now);
    pairs
        .filter(|(wanted, now)| wanted != now)
        .map(|(wanted, _)| wanted)
}

const NO_IPV6: &str = "this kernel has no IPv6: the IPv6 rules and settings are left out";

fn look_at_rules(host: &dyn Host, family: Family, wanted: TideState) -> Result<Rules, Problem> {
    let live = live(host, family)?;
    Ok(Rules {
        family,
        is_done: transaction(&live, &wanted).is_none(),
        before: TideState::snapshot(&live),
        wanted,
    })
}

/// How a setting stands on a machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SettingStatus {
    Absent,
    /// It has another value that does what is asked, and why that is so.
    Better(String),
    /// It is one of IPv6, which this kernel has not.
    Skipped,
    Value(String),
    /// Its interface is not there yet.
    Waits(String),
}

/// Returns how a setting stands.
pub(super) fn status(host: &dyn Host, setting: &Setting) -> Result<SettingStatus, Problem> {
    let path = &setting.path;
    if settings::is_ipv6(path) && !host.has_ipv6() {
        return Ok(SettingStatus::Skipped);
    }
    if let Some(value) = host.sysctl(path)? {
        let better = better(host, setting, &value)?;
        return Ok(better.map_or(SettingStatus::Value(value), SettingStatus::Better));
    }
    // Every interface has this one; where it is there, the interface is, and the key is wrong.
    let there = |name| host.sysctl(&format!("net/ipv4/conf/{name}/forwarding"));
    match settings::interface(path) {
        Some(name) if there(name)?.is_none() => Ok(SettingStatus::Waits(name.to_owned())),
        _ => Ok(SettingStatus::Absent),
    }
}

/// Returns why a value is left alone although it is not the one wanted: sources are checked loosely
/// already, by way of `all`, of which the greater value counts (the kernel's ip-sysctl.rst).
fn better(host: &dyn Host, setting: &Setting, value: &str) -> Result<Option<String>, Problem> {
    let checks_sources =
        setting.path.starts_with("net/ipv4/conf/") && setting.path.ends_with("/rp_filter");
    if !checks_sources || settings::same(value, &setting.value) {
        return Ok(None);
    }
    let all = host.sysctl("net/ipv4/conf/all/rp_filter")?;
    let loose = all.is_some_and(|all| settings::same(&all, "2"));
    Ok((loose && setting.value == "2").then(|| {
        format!(
            "{} stays {}: net.ipv4.conf.all.rp_filter is 2 already",
            setting.key,
            value.trim_end()
        )
    }))
}

fn no_setting(setting: &Setting) -> Problem {
    Problem::NoSetting {
        key: setting.key.clone(),
        place: setting.source.clone(),
    }
}

fn set(host: &dyn Host, setting: &Setting) -> Result<(), Problem> {
    match host.sysctl(&setting.path)? {
        None => Err(no_setting(setting)),
        Some(now) if settings::same(&now, &setting.value) => Ok(()),
        Some(_) => host
            .set_sysctl(&setting.path, &setting.value)
            .map_err(|error| Problem::Setting {
                place: setting.source.clone(),
                error,
            }),
    }
}

fn check(host: &dyn Host, setting: &Setting) -> Result<(), Problem> {
    let found = host.sysctl(&setting.path)?.unwrap_or_default();
    if settings::same(&found, &setting.value) {
        return Ok(());
    }
    Err(Problem::WrongValue {
        key: setting.key.clone(),
        wanted: setting.value.clone(),
        found: found.trim_end().to_owned(),
        place: setting.source.clone(),
    })
}
