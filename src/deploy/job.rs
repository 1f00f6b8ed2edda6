//! All that stands between a machine and a bundle, and the steps that bring it there or back.

use super::apply::{NextBoot, Options, Outcome, ended, refused};
use super::blind;
use super::boot;
use super::closed;
use super::converge::{converge, families, live, load, load_each, load_text};
use super::engine;
use super::error::{ApplyError, Problem};
use super::forward;
use super::frames::Frames;
use super::plan::transaction;
use super::rehearsed::rehearse;
use super::routes::Routes;
use super::settings::{self, Setting};
use super::standing::{SettingStatus, status};
use super::state::TideState;
use super::store::{self, Fragment, Installed};
use crate::artifact::Bundle;
use crate::host::Host;
use crate::netfilter::save::SaveError;
use crate::netfilter::{Family, Table};

/// One family's rules: as wanted, and as they were.
pub(super) struct Rules {
    pub(super) family: Family,
    pub(super) wanted: TideState,
    pub(super) before: TideState,
    /// What would have to be loaded when the rules were looked at; nothing where they were right.
    pub(super) missing: Option<String>,
    /// The tables that cannot be read, with the reason.
    pub(super) unread: Vec<(Table, SaveError)>,
    /// `wanted` without those.
    known: Option<TideState>,
}

impl Rules {
    fn look_at(host: &dyn Host, family: Family, wanted: TideState) -> Result<Self, Problem> {
        let live = live(host, family)?;
        let unread = live.unread().iter();
        let unread: Vec<_> = unread.map(|(at, error)| (*at, error.clone())).collect();
        let tables: Vec<Table> = unread.iter().map(|(table, _)| *table).collect();
        Ok(Rules {
            family,
            missing: transaction(&live, &wanted),
            before: TideState::snapshot(live),
            known: (!tables.is_empty()).then(|| wanted.leaving(&tables)),
            unread,
            wanted,
        })
    }

    /// Returns what is wanted of the tables that can be read.
    fn known(&self) -> &TideState {
        self.known.as_ref().unwrap_or(&self.wanted)
    }

    fn is_done(&self) -> bool {
        self.missing.is_none() && self.unread.is_empty()
    }

    /// Loads the tables that cannot be read, every one that can be; returns the first failure.
    fn load_unread(&self, host: &dyn Host) -> Result<(), Problem> {
        let tables = self.unread.iter();
        let loads = tables.map(|(table, _)| blind::load(host, self.family, *table, &self.wanted));
        loads.fold(Ok(()), Result::and)
    }

    /// Says of each table that cannot be read why it was not compared.
    pub(super) fn not_compared(&self) -> impl Iterator<Item = String> {
        let family = self.family;
        let tables = self.unread.iter();
        tables.map(move |(table, error)| {
            format!("{family} {table}, line {}: {}", error.line, error.kind)
        })
    }
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
    pub(super) frames: Frames,
    pub(super) routes: Routes<'a>,
    pub(super) fragments: Vec<Fragment>,
    pub(super) fragments_before: Vec<Fragment>,
    pub(super) is_installed: bool,
    /// The bundle that is installed, where it is another one.
    pub(super) replaced: Option<Box<Bundle>>,
    /// It is not to be kept for the next boot: it is on trial, or stands in for a damaged one.
    pub(super) keeps_nothing: bool,
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
        let installed = Installed::beside(host, bundle);
        let replaced = installed.beside_it();
        // Both families' rules must be sound, also where only one of them is loaded.
        let wanted = [
            (Family::V4, forward::wanted(bundle, replaced, Family::V4)?),
            (Family::V6, forward::wanted(bundle, replaced, Family::V6)?),
        ];
        let families = families(host);
        let rules = wanted
            .into_iter()
            .filter(|(family, _)| families.contains(family))
            .map(|(family, wanted)| Rules::look_at(host, family, wanted));
        let modules = bundle.manifest().modules.iter().map(String::as_str);
        let fragments = Fragment::of_bundle(bundle);
        let found = fragments.iter().map(|fragment| fragment.found(host));
        let is_installed = matches!(installed, Installed::Same);
        if !is_installed && !options.boot {
            // A boot needs the rules alone, whatever else there is to say of them.
            bundle.check()?;
        }
        let mut job = Job {
            host,
            bundle,
            rules: rules.collect::<Result<_, _>>()?,
            modules: modules.filter(|name| !host.has_module(name)).collect(),
            values: Vec::new(),
            frames: Frames::new(host, bundle, options.boot)?,
            routes: Routes::new(host, bundle, &installed)?,
            fragments_before: found.collect::<Result<_, _>>()?,
            fragments: fragments.to_vec(),
            is_installed,
            replaced: installed.other(),
            keeps_nothing: false,
            at_once: options.at_once || options.again,
            notes: Vec::new(),
        };
        if !host.has_ipv6() {
            job.notes.push(NO_IPV6.to_owned());
        }
        job.notes.extend(job.frames.note());
        let rules = job.rules.iter();
        let notes =
            rules.filter_map(|it| forward::note(bundle, it.family, (&it.wanted, &it.before)));
        job.notes.extend(notes);
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
            let told = found.errors.iter().map(ToString::to_string);
            self.notes.extend(told);
            return Ok(());
        }
        Err(Problem::Engine(found.errors))
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

    /// Says of each table of the machine why it was not compared.
    pub(super) fn not_compared(&self) -> Vec<String> {
        let rules = self.rules.iter().flat_map(Rules::not_compared);
        rules.chain(self.frames.not_compared()).collect()
    }

    pub(super) fn is_done(&self) -> bool {
        let is_kept = self.fragments == self.fragments_before && self.is_installed;
        self.rules.iter().all(Rules::is_done)
            && self.modules.is_empty()
            && self.values.iter().all(Value::is_done)
            && self.frames.is_done()
            && self.routes.is_done()
            && (self.keeps_nothing || is_kept)
    }

    /// Does it, if there is anything to do.
    pub(super) fn put(
        mut self,
        options: Options,
        next_boot: NextBoot,
    ) -> Result<Outcome, ApplyError> {
        let changed = !self.is_done();
        if changed && options.boot {
            self.enforce_what_can_be().map_err(ApplyError::Partial)?;
            self.notes.extend(self.routes.put_what_can_be(self.host));
        } else if changed {
            self.prepare().map_err(|problem| self.refuse(problem))?;
            let ended = self.enforce();
            let ended = ended.and_then(|()| Ok(next_boot.arrange(self.host)?));
            ended.map_err(|problem| self.give_up(problem))?;
        } else {
            next_boot.arrange(self.host).map_err(refused)?;
        }
        // It only closes more than the bundle does.
        closed::open(self.host).map_err(|error| ApplyError::Unfinished(error.into()))?;
        boot::whole(self.host);
        let outcome = ended(self.host, self.bundle, options, self);
        Ok(Outcome { changed, ..outcome })
    }

    pub(super) fn unchanged(&self) -> Outcome {
        Outcome {
            notes: self.notes.clone(),
            not_compared: self.not_compared(),
            ..Outcome::default()
        }
    }

    /// Does all that can fail without touching anything.
    pub(super) fn prepare(&self) -> Result<(), Problem> {
        let has_rules = self.rules.iter().any(|rules| !rules.is_done());
        if !self.at_once && has_rules {
            let rules = self.rules.iter().map(|it| (it.family, &it.wanted));
            rehearse(self.host, self.bundle, rules)?;
        }
        if self.is_kept() {
            store::stage(self.host, self.bundle)?;
        }
        Ok(())
    }

    /// Rules come before settings: forwarding must not be on before they are there.
    pub(super) fn enforce(&self) -> Result<(), Problem> {
        for rules in &self.rules {
            match &rules.missing {
                // Behind a rehearsal the look at the rules is old.
                _ if !self.at_once => load(self.host, rules.family, rules.known())?,
                Some(text) => load_text(self.host, rules.family, rules.known(), text)?,
                None => {}
            }
            rules.load_unread(self.host)?;
        }
        for module in &self.modules {
            self.host.load_module(module)?;
        }
        for value in &self.values {
            set(self.host, &value.setting)?;
        }
        self.frames.put(self.host)?;
        self.routes.put(self.host)?;
        self.read_back()?;
        if self.keeps_nothing {
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
            if let Some(text) = &rules.missing {
                let loaded = load_each(self.host, rules.family, rules.known(), text);
                ended = ended.and(loaded);
            }
            ended = ended.and(rules.load_unread(self.host));
        }
        for module in &self.modules {
            ended = ended.and(self.host.load_module(module).map_err(Problem::from));
        }
        for value in &self.values {
            ended = ended.and(set(self.host, &value.setting));
        }
        ended = ended.and(self.frames.put(self.host));
        if self.keeps_nothing {
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
            converge(self.host, rules.family, rules.known())?;
        }
        for value in &self.values {
            check(self.host, &value.setting)?;
        }
        Ok(())
    }

    /// Clears away what was written for a change that does not begin.
    fn refuse(&self, problem: Problem) -> ApplyError {
        if self.is_kept() {
            // If the disk keeps it, the next run does the same.
            let _ = store::unstage(self.host);
        }
        ApplyError::Refused(problem)
    }

    /// Returns whether this change is to put its bundle where boots find it.
    fn is_kept(&self) -> bool {
        !self.is_installed && !self.keeps_nothing
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
        ended = ended.and(self.frames.undo(self.host));
        for value in self.values.iter().rev() {
            ended = ended.and(self.put_back(value));
        }
        for rules in self.rules.iter().rev() {
            ended = ended.and(converge(self.host, rules.family, &rules.before));
        }
        let fragments = changed(&self.fragments_before, &self.fragments);
        for fragment in fragments.filter(|_| !self.keeps_nothing) {
            ended = ended.and(fragment.put(self.host).map_err(Problem::from));
        }
        if !self.is_kept() {
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
