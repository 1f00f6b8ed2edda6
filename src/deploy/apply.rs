//! Brings a machine to a bundle's state: looks, rehearses, loads, reads back, and goes back to
//! what was there if any of it fails.

use super::engine;
use super::error::{ApplyError, Problem};
use super::plan::transaction;
use super::rehearse::rehearse;
use super::rescue::rules_alone;
use super::routes::Routes;
use super::settings::{self, Setting};
pub(super) use super::standing::{SettingStatus, status};
use super::state::TideState;
use super::store::{self, Fragment};
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
    /// It was in force before: it was rehearsed and compared with the engine then, and must not wait
    /// for an engine that hangs.
    pub again: bool,
}

/// A bundle that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether anything had to be done for it.
    pub changed: bool,
    /// What people should know: parts of the policy that this machine has no use for yet.
    pub notes: Vec<String>,
}

/// Puts a bundle in force and keeps it for the next boot.
pub fn apply(host: &dyn Host, bundle: &Bundle, options: Options) -> Result<Outcome, ApplyError> {
    let _lock = host.lock().map_err(refused)?;
    store::heal(host).map_err(refused)?;
    apply_locked(host, bundle, options, NextBoot::ThisBundle)
}

/// Puts a bundle with addresses of the moment in force, at once. A boot begins with `closed`, the same
/// policy without them.
pub fn follow(host: &dyn Host, bundle: &Bundle, closed: &Bundle) -> Result<Outcome, ApplyError> {
    let _lock = host.lock().map_err(refused)?;
    store::heal(host).map_err(refused)?;
    store::keep_for_boot(host, closed).map_err(refused)?;
    let options = Options {
        at_once: true,
        ..Options::default()
    };
    apply_locked(host, bundle, options, NextBoot::AsBefore)
}

/// Puts the installed bundle in force again, and returns it.
pub fn apply_installed(host: &dyn Host, options: Options) -> Result<(Bundle, Outcome), ApplyError> {
    let _lock = host.lock().map_err(refused)?;
    store::heal(host).map_err(refused)?;
    let early = options.boot.then(|| store::for_boot(host)).flatten();
    let bundle = match early.map_or_else(|| installed(host), Ok) {
        Err(ApplyError::Refused(problem @ Problem::Bundle(_))) if options.boot => {
            return Err(rules_alone(host, problem));
        }
        read => read?,
    };
    let outcome = apply_locked(host, &bundle, options, NextBoot::AsBefore)?;
    Ok((bundle, outcome))
}

fn installed(host: &dyn Host) -> Result<Bundle, ApplyError> {
    let installed = store::installed(host).map_err(ApplyError::Refused)?;
    installed.ok_or(ApplyError::Refused(Problem::NotInstalled))
}

fn refused(error: impl Into<Problem>) -> ApplyError {
    ApplyError::Refused(error.into())
}

/// What a boot is to begin with afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextBoot {
    AsBefore,
    ThisBundle,
}

impl NextBoot {
    /// The last step of an apply: if it fails, everything goes back.
    fn arrange(self, host: &dyn Host) -> Result<(), HostError> {
        match self {
            NextBoot::AsBefore => Ok(()),
            NextBoot::ThisBundle => store::keep_current(host),
        }
    }
}

fn apply_locked(
    host: &dyn Host,
    bundle: &Bundle,
    options: Options,
    next_boot: NextBoot,
) -> Result<Outcome, ApplyError> {
    let mut job = Job::new(host, bundle, options).map_err(ApplyError::Refused)?;
    job.at_once = options.at_once || options.again;
    let changed = !job.is_done();
    if changed && options.boot {
        job.enforce_what_can_be().map_err(ApplyError::Partial)?;
        job.notes.extend(job.routes.put_what_can_be(host));
    } else if changed {
        job.prepare().map_err(|problem| job.refuse(problem))?;
        let ended = job.enforce().and_then(|()| Ok(next_boot.arrange(host)?));
        ended.map_err(|problem| job.give_up(problem))?;
    } else {
        next_boot.arrange(host).map_err(refused)?;
    }
    Ok(Outcome {
        changed,
        notes: job.notes,
    })
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
            if !matches!(error, HostError::Command { .. }) {
                return Err(error.into());
            }
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
pub(super) fn converge_each(
    host: &dyn Host,
    family: Family,
    wanted: &TideState,
) -> Result<(), Problem> {
    let ended = converge(host, family, wanted);
    // What hangs would hang for each table again, and a boot waits for it.
    let hangs = matches!(ended, Err(Problem::Host(HostError::Hangs { .. })));
    if ended.is_err()
        && !hangs
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
            at_once: false,
            notes: Vec::new(),
        };
        if !host.has_ipv6() {
            job.notes.push(NO_IPV6.to_owned());
        }
        job.look_at_settings(options)?;
        if !options.boot && !options.again {
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

    fn is_done(&self) -> bool {
        self.rules.iter().all(|rules| rules.is_done)
            && self.modules.is_empty()
            && self.values.iter().all(Value::is_done)
            && self.routes.is_done()
            && self.fragments == self.fragments_before
            && self.is_installed
    }

    /// Does all that can fail without touching anything.
    fn prepare(&self) -> Result<(), Problem> {
        if !self.at_once && self.rules.iter().any(|rules| !rules.is_done) {
            for rules in &self.rules {
                rehearse(self.host, rules.family, &rules.wanted)?;
            }
        }
        if !self.is_installed {
            store::stage(self.host, self.bundle)?;
        }
        Ok(())
    }

    /// Rules come before settings: forwarding must not be on before they are there.
    fn enforce(&self) -> Result<(), Problem> {
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

    /// Clears away what was written for a change that does not begin.
    fn refuse(&self, problem: Problem) -> ApplyError {
        if !self.is_installed {
            // If the disk keeps it, the next run does the same.
            let _ = store::unstage(self.host);
        }
        ApplyError::Refused(problem)
    }

    fn give_up(&self, problem: Problem) -> ApplyError {
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
        for fragment in changed(&self.fragments_before, &self.fragments) {
            ended = ended.and(fragment.put(self.host).map_err(Problem::from));
        }
        if self.is_installed {
            return ended;
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
