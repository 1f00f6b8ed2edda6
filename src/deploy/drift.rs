//! Compares a machine with its installed bundle.

use super::against;
use super::apply;
use super::compare::{RuleChange, compare, never_meet};
use super::confirm;
use super::converge::{families, live};
use super::error::{ApplyError, Problem};
use super::overrides;
use super::plan::{is_ours, layout};
use super::report::{Drift, DriftKind, DriftReport};
use super::routes;
use super::settings::{self, Setting};
use super::standing::{SettingStatus, status};
use super::state::{
    DOCKER_USER, EngineChain, FORWARD, Hook, TideState, TideTable, is_jumped_to, is_tide, jump,
};
use super::store::{self, Fragment};
use super::trial::{self, Trial};
use crate::artifact::{Bundle, HookEntry};
use crate::host::{Host, HostError};
use crate::netfilter::save::{self, ChainPolicy, RuleLines, TableText};
use crate::netfilter::{Family, Table};

/// Looks at the machine and tells every difference from the installed bundle; changes nothing
/// but, if a change of bundles was cut short, its end.
pub fn drift(host: &dyn Host) -> Result<DriftReport, Problem> {
    let (mut report, bundle) = rules_and_settings(host)?;
    // Others need not wait while the engine is asked.
    report.findings = bundle.map_or_else(Vec::new, |bundle| against::look(host, &bundle));
    Ok(report)
}

/// Returns what differs of rules and settings, and the bundle that they are compared with.
fn rules_and_settings(host: &dyn Host) -> Result<(DriftReport, Option<Bundle>), Problem> {
    let _lock = host.lock()?;
    store::heal(host)?;
    if let Some(trial) = trial::of(host)? {
        return on_trial(host, &trial);
    }
    match store::installed(host) {
        Ok(None) => Err(Problem::NotInstalled),
        Ok(Some(bundle)) => match Drifts::of(host, &bundle) {
            // A difference is told by the policy's lines, which only then are read.
            Err(problem @ Problem::Bundle(_)) => Ok((damaged(&problem), None)),
            drifts => Ok((drifts?.report(&bundle), Some(bundle))),
        },
        Err(problem) if is_damage(&problem) => Ok((damaged(&problem), None)),
        Err(problem) => Err(problem),
    }
}

/// Compares with a bundle on trial: what is kept for the next boot is still the one before.
fn on_trial(host: &dyn Host, trial: &Trial) -> Result<(DriftReport, Option<Bundle>), Problem> {
    let bundle = Trial::bundle(host)?;
    let mut drifts = Drifts::new(host);
    drifts.machine(&bundle)?;
    let back = trial.back();
    match trial.left(host)? {
        _ if trial.confirmed => {}
        Some(left) => {
            let left = confirm::seconds(left);
            drifts.waits = Some(left);
            drifts.notes.push(format!(
                "it waits for a confirmation, {left} s left; then {back} comes back"
            ));
        }
        None => {
            let says = format!("{back} should be in force again");
            drifts
                .list
                .push(Drift::new(DriftKind::Unconfirmed).says(says));
        }
    }
    Ok((drifts.report(&bundle), Some(bundle)))
}

/// Puts the installed bundle in force again if the machine differs from it, and looks again.
///
/// Returns what was found first and what is left.
pub fn repair(host: &dyn Host) -> Result<(DriftReport, DriftReport), ApplyError> {
    let before = drift(host).map_err(ApplyError::Refused)?;
    // What runs otherwise than the policy says is not mended by loading the same rules.
    if before.drifts.is_empty() {
        return Ok((before.clone(), before));
    }
    let options = apply::Options {
        again: true,
        ..apply::Options::default()
    };
    apply::apply_installed(host, options)?;
    // The repair is done and stands, whatever looking again says.
    let after = drift(host).map_err(ApplyError::Unfinished)?;
    Ok((before, after))
}

fn is_damage(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::Bundle(_)
            | Problem::Host(
                HostError::NotRegular(_)
                    | HostError::NotText(_)
                    | HostError::TooLarge { .. }
                    | HostError::Unsafe { .. }
            )
    )
}

/// A bundle that cannot be trusted says nothing about the rest of the machine.
fn damaged(problem: &Problem) -> DriftReport {
    DriftReport {
        policy: None,
        version: None,
        drifts: vec![Drift::new(DriftKind::BundleDamaged).says(problem.to_string())],
        findings: Vec::new(),
        notes: vec!["rules and settings were not compared: apply a whole bundle first".to_owned()],
        waits: None,
    }
}

struct Drifts<'a> {
    host: &'a dyn Host,
    list: Vec<Drift>,
    notes: Vec<String>,
    /// Seconds that a confirmation is waited for.
    waits: Option<u64>,
}

impl<'a> Drifts<'a> {
    fn of(host: &'a dyn Host, bundle: &Bundle) -> Result<Self, Problem> {
        let mut drifts = Drifts::new(host);
        drifts.machine(bundle)?;
        let overridden = overrides::overridden(host, &bundle.manifest().sysctls)?;
        drifts.notes.extend(overridden);
        drifts.files(bundle)?;
        Ok(drifts)
    }

    fn new(host: &'a dyn Host) -> Self {
        Drifts {
            host,
            list: Vec::new(),
            notes: Vec::new(),
            waits: None,
        }
    }

    /// Compares what is in the kernel.
    fn machine(&mut self, bundle: &Bundle) -> Result<(), Problem> {
        for family in families(self.host) {
            self.family(bundle, family)?;
        }
        if !self.host.has_ipv6() {
            let note = "this kernel has no IPv6: IPv6 rules and settings were not compared";
            self.notes.push(note.to_owned());
        }
        self.settings(bundle)?;
        self.routes(bundle)?;
        self.modules(bundle);
        Ok(())
    }

    fn report(self, bundle: &Bundle) -> DriftReport {
        DriftReport {
            policy: Some(bundle.manifest().policy.clone()),
            version: Some(bundle.version().to_owned()),
            drifts: self.list,
            findings: Vec::new(),
            notes: self.notes,
            waits: self.waits,
        }
    }

    fn family(&mut self, bundle: &Bundle, family: Family) -> Result<(), Problem> {
        let wanted = TideState::of_bundle(bundle, family)?;
        let live = live(self.host, family)?;
        let (no_text, nothing) = (TableText::default(), TideTable::default());
        for table in Table::ALL {
            let view = View {
                bundle,
                family,
                table,
                wanted: wanted.table(table).unwrap_or(&nothing),
                now: live.table(table).unwrap_or(&no_text),
            };
            view.chains(&mut self.list)?;
            view.hooks(&mut self.list);
            view.engine_chain(&mut self.list);
            view.forward(&mut self.list);
        }
        Ok(())
    }

    fn settings(&mut self, bundle: &Bundle) -> Result<(), Problem> {
        for entry in &bundle.manifest().sysctls {
            let setting = Setting::new(entry)?;
            let (kind, found) = match status(self.host, &setting)? {
                SettingStatus::Absent => (DriftKind::SysctlMissing, None),
                SettingStatus::Value(value) if !settings::same(&value, &setting.value) => {
                    (DriftKind::SysctlDiffers, Some(value.trim_end().to_owned()))
                }
                _ => continue,
            };
            self.list.push(Drift {
                source: Some(setting.source),
                found,
                ..Drift::new(kind).says(setting.key).wanted(setting.value)
            });
        }
        Ok(())
    }

    fn routes(&mut self, bundle: &Bundle) -> Result<(), Problem> {
        for (route, found) in routes::missing(self.host, bundle)? {
            let wanted = format!("route replace {} via {}", route.prefix, route.via);
            self.list.push(Drift {
                source: Some(route.source.clone()),
                found,
                ..Drift::new(DriftKind::RouteMissing)
                    .says(route.prefix.to_string())
                    .wanted(wanted)
            });
        }
        Ok(())
    }

    fn modules(&mut self, bundle: &Bundle) {
        let modules = bundle.manifest().modules.iter();
        for module in modules.filter(|module| !self.host.has_module(module)) {
            self.list
                .push(Drift::new(DriftKind::ModuleMissing).says(module));
        }
    }

    fn files(&mut self, bundle: &Bundle) -> Result<(), Problem> {
        for wanted in Fragment::of_bundle(bundle) {
            let found = wanted.found(self.host)?;
            let kind = match (&wanted.text, &found.text) {
                (wanted, found) if wanted == found => continue,
                (None, _) => DriftKind::FileStranger,
                (_, None) => DriftKind::FileMissing,
                _ => DriftKind::FileChanged,
            };
            self.list.push(Drift::new(kind).says(wanted.path));
        }
        Ok(())
    }
}

/// One table of one family: as it should be and as it is.
struct View<'a> {
    bundle: &'a Bundle,
    family: Family,
    table: Table,
    wanted: &'a TideTable,
    now: &'a TableText,
}

impl View<'_> {
    fn drift(&self, kind: DriftKind, chain: &str) -> Drift {
        Drift::of_chain(kind, self.family, self.table, chain)
    }

    fn chains(&self, list: &mut Vec<Drift>) -> Result<(), Problem> {
        if self.wanted.has_its_chains(self.now) {
            return Ok(());
        }
        for (name, wanted) in &self.wanted.chains {
            match self.now.chains.get(name) {
                None => list.push(self.missing(name)?),
                Some(now) if wanted == &now.rules => {}
                Some(now) => {
                    let changes = compare(wanted, &now.rules);
                    let wanted: Vec<&str> = wanted.iter().collect();
                    for change in changes {
                        list.push(self.rule(name, &wanted, change)?);
                    }
                }
            }
        }
        let strangers = self.now.chains.keys();
        for name in
            strangers.filter(|name| is_tide(name) && !self.wanted.chains.contains_key(*name))
        {
            list.push(self.drift(DriftKind::ChainStranger, name));
        }
        Ok(())
    }

    /// Tells a missing chain by the policy lines whose rules are gone with it.
    fn missing(&self, chain: &str) -> Result<Drift, Problem> {
        let origins = self.bundle.origins()?;
        let here = origins.of_chain(self.family, self.table, chain);
        let mut places: Vec<&str> = here.map(|entry| entry.source.as_str()).collect();
        places.dedup();
        let drift = self.drift(DriftKind::ChainMissing, chain);
        Ok(match places.as_slice() {
            [] => drift,
            [first] => drift.says(format!("with it the rules of {first}")),
            [first, _] => drift.says(format!("with it the rules of {first} and of another line")),
            [first, others @ ..] => {
                let count = others.len();
                drift.says(format!(
                    "with it the rules of {first} and of {count} more lines"
                ))
            }
        })
    }

    /// Tells a changed rule by the policy line that it comes from.
    fn rule(&self, chain: &str, wanted: &[&str], change: RuleChange) -> Result<Drift, Problem> {
        let (kind, rule, found) = match change {
            RuleChange::Added { rule, found } => (DriftKind::RuleAdded, rule, Some(found)),
            RuleChange::Changed { rule, found } => (DriftKind::RuleChanged, rule, Some(found)),
            RuleChange::Gone { rule } => (DriftKind::RuleGone, rule, None),
            RuleChange::Reordered { rule, found } => (DriftKind::RulesReordered, rule, Some(found)),
        };
        let ours = kind != DriftKind::RuleAdded;
        let origins = self.bundle.origins()?;
        let origin = origins.rule(self.family, self.table, chain, rule);
        let origin = origin.filter(|_| ours);
        Ok(Drift {
            rule: Some(rule),
            source: origin.map(|origin| origin.source.clone()),
            says: origin.map(|origin| origin.says.clone()),
            wanted: wanted
                .get(rule - 1)
                .filter(|_| ours)
                .map(|&rule| rule.to_owned()),
            found,
            ..self.drift(kind, chain)
        })
    }

    fn hooks(&self, list: &mut Vec<Drift>) {
        for hook in &self.wanted.hooks {
            let rules = self.rules(&hook.chain);
            let count = rules.filter(|rule| *rule == hook.rule).count();
            let kind = match count {
                0 => DriftKind::HookMissing,
                1 if self.is_in_place(&hook.chain) => continue,
                1 => DriftKind::HookMisplaced,
                _ => DriftKind::HookDoubled,
            };
            let drift = self.drift(kind, &hook.chain);
            let drift = match self.entry(hook) {
                Some(entry) => drift.says(&entry.says),
                None => drift,
            };
            list.push(drift.wanted(&hook.rule));
        }
        for (name, chain) in self.now.chains.iter().filter(|(name, _)| !is_tide(name)) {
            let strangers = chain
                .rules
                .iter()
                .filter(|rule| is_ours(rule) && !self.has_hook(name, rule));
            for rule in strangers {
                list.push(self.drift(DriftKind::HookStranger, name).found(rule));
            }
        }
    }

    /// Returns what the manifest says about a hook.
    fn entry(&self, hook: &Hook) -> Option<&HookEntry> {
        self.bundle.manifest().hooks.iter().find(|entry| {
            (entry.family, entry.table) == (self.family, self.table)
                && entry.chain == hook.chain
                && jump(entry) == hook.rule
        })
    }

    fn rules(&self, chain: &str) -> impl Iterator<Item = &str> {
        let chain = self.now.chains.get(chain);
        chain.into_iter().flat_map(|chain| chain.rules.iter())
    }

    fn has_hook(&self, chain: &str, rule: &str) -> bool {
        let mut hooks = self.wanted.hooks.iter();
        hooks.any(|hook| hook.chain == chain && hook.rule == rule)
    }

    /// Returns whether the chain is as the planner would leave it, strangers apart, and rules whose
    /// place does not matter: Docker puts one for each new network on top of `nat` POSTROUTING.
    fn is_in_place(&self, chain: &str) -> bool {
        let hooks = self.wanted.hooks.iter().filter(|hook| hook.chain == chain);
        let hooks: Vec<&Hook> = hooks.collect();
        let is_stranger = |rule: &str| is_ours(rule) && !self.has_hook(chain, rule);
        let is_beside = |rule: &str| hooks.iter().all(|hook| never_meet(rule, self.behind(hook)));
        let now = self.rules(chain);
        let now: Vec<&str> = now
            .filter(|rule| !is_stranger(rule) && (is_ours(rule) || !is_beside(rule)))
            .collect();
        let others = now.iter().copied().filter(|rule| !is_ours(rule));
        let others: Vec<&str> = others.collect();
        layout(&others, &hooks) == now
    }

    /// Returns the rules that a hook leads to.
    fn behind(&self, hook: &Hook) -> impl Iterator<Item = &str> {
        let chain = save::target(&hook.rule).and_then(|name| self.wanted.chains.get(name));
        chain.into_iter().flat_map(RuleLines::iter)
    }

    fn engine_chain(&self, list: &mut Vec<Drift>) {
        if self.wanted.docker_user != EngineChain::Need {
            return;
        }
        if !self.now.chains.contains_key(DOCKER_USER) {
            list.push(self.drift(DriftKind::DockerUserMissing, DOCKER_USER));
        } else if !is_jumped_to(self.now) {
            list.push(self.drift(DriftKind::DockerUserUnreached, FORWARD));
        }
    }

    fn forward(&self, list: &mut Vec<Drift>) {
        let forward = self.now.chains.get(FORWARD);
        let now = forward
            .and_then(|chain| chain.policy)
            .unwrap_or(ChainPolicy::Accept);
        if let Some(wanted) = self.wanted.forward.filter(|wanted| *wanted != now) {
            let entry = self.bundle.manifest().forward.as_ref();
            let drift = Drift {
                source: entry.map(|entry| entry.source.clone()),
                ..self.drift(DriftKind::ForwardPolicy, FORWARD)
            };
            list.push(drift.wanted(wanted.name()).found(now.name()));
        }
    }
}
