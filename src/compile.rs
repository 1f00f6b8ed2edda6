//! From a policy to a bundle: every stage in its order, and nothing but the policy's texts in it.

mod openings;
mod parties;
mod proof;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::panic::resume_unwind;

use serde_json::Value;

pub use parties::{RecoverError, recovered};
use proof::{expected, loadable, omitted, prove, unproven};

use crate::artifact::{
    BRIDGE, Bundle, ChainOrigins, FORMAT, ForwardEntry, HookEntry, MODULES, Manifest, OriginEntry,
    Origins, ROUTES, RULES_V4, RULES_V6, RouteEntry, SYSCTL, SysctlEntry,
};
use crate::diag::{Diagnostic, Diagnostics, Levels, Severity, code};
use crate::facts::Facts;
use crate::hash::sha256;
use crate::lint;
use crate::meaning::Invalid;
use crate::netfilter::{
    ChainText, Family, Hook, Origin, Ruleset, Table, Target, TooManyRules, bridge, lower,
    optimised, policy_name, render, render_chains,
};
use crate::policy::ir::{Backend, Engine, Policy, Route, Undeclared};
use crate::policy::{self, Loaded, Loader};
use crate::source::SourceMap;
use crate::sysctl::{self, Setting};

/// What a compilation gives: bundles unless there was a mistake, and all that there is to say.
#[derive(Debug)]
pub struct Compiled {
    pub sources: SourceMap,
    /// By place.
    pub diagnostics: Vec<Diagnostic>,
    /// How many `expect` statements were read. All of them hold where there is no mistake.
    pub expectations: usize,
    /// One for each host, in the order written.
    pub bundles: Vec<Bundle>,
    /// What each host sees of the policy; there with mistakes, too, as far as it was understood.
    pub policies: Vec<Policy>,
}

/// A policy as one host sees it, and the bundle that it became.
#[derive(Debug, Clone)]
pub struct Subject {
    pub policy: Policy,
    pub bundle: Bundle,
}

impl Compiled {
    /// Pairs each host's view with its bundle; none where there was a mistake.
    pub fn subjects(self) -> Vec<Subject> {
        let pairs = self.policies.into_iter().zip(self.bundles);
        pairs
            .map(|(policy, bundle)| Subject { policy, bundle })
            .collect()
    }

    /// Returns the bundle of the host that the policy names first.
    pub fn bundle(self) -> Option<Bundle> {
        self.bundles.into_iter().next()
    }

    /// Adds what something else than the policy's own texts has to say about it.
    pub fn say(&mut self, more: Vec<Diagnostic>) {
        let mut all = Diagnostics::default();
        all.extend(std::mem::take(&mut self.diagnostics));
        all.extend(more);
        self.diagnostics = all.into_sorted();
    }

    /// Adds what a policy without mistakes says for nothing, or twice.
    pub fn lint(&mut self) {
        if !self.has_errors() {
            self.say(lint::lint(&self.policies));
        }
    }

    /// Gives each warning its level. What becomes a mistake takes the bundles away.
    pub fn judge(&mut self, levels: &Levels) {
        self.diagnostics = levels.apply(std::mem::take(&mut self.diagnostics));
        if self.has_errors() {
            self.bundles.clear();
        }
    }

    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Compiles the policy whose main file `loader` knows as `main`.
pub fn compile(loader: &dyn Loader, main: &str) -> Compiled {
    compile_with(loader, main, None, How::default())
}

/// Whether rules are compared with the policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Proof {
    /// They are, and those that are too many to be compared are a mistake.
    #[default]
    Needed,
    /// They are written as they come, with a warning.
    Omitted,
}

/// What long lists become.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rules {
    /// Trees of chains.
    #[default]
    Optimised,
    /// Lists, a rule for each prefix.
    Plain,
}

/// How a policy is compiled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct How {
    pub proof: Proof,
    pub rules: Rules,
    /// What [`Compiled::lint`] adds is found meanwhile.
    pub lints: bool,
}

/// Like [`compile`], with addresses of an inventory for containers to which the policy gives none.
pub fn compile_with(
    loader: &dyn Loader,
    main: &str,
    inventory: Option<&Facts>,
    how: How,
) -> Compiled {
    let Loaded {
        sources,
        mut diagnostics,
        policies,
    } = policy::load_with(loader, main, inventory);
    let first = policies.first();
    let expectations = first.map_or(0, |policy| policy.expectations.len());
    let mut bundles = Vec::with_capacity(policies.len());
    let budget = proof::budget();
    let (written, for_lints) = (as_written(&policies, inventory), lint::budget());
    std::thread::scope(|scope| {
        let lints = how.lints && !diagnostics.has_errors();
        let lints = lints.then(|| scope.spawn(|| lint::lint_within(&written, &for_lints)));
        for policy in &policies {
            // Told of one host, it is told of all.
            if budget.is_spent() && diagnostics.has_errors() {
                break;
            }
            let Some(rulesets) = rulesets(policy, how.rules, &mut diagnostics) else {
                continue;
            };
            budget.take(proof::written(&rulesets));
            if budget.is_spent() && how.proof == Proof::Needed {
                diagnostics.push(unproven(Invalid::NotKnown, proof::networks(policy)));
                break;
            }
            let bundle = bundle(policy, rulesets, &sources, main);
            diagnostics.extend(loadable(&bundle).or_else(|| match how.proof {
                Proof::Needed => prove(policy, &bundle, &budget),
                Proof::Omitted => Some(omitted()),
            }));
            bundles.push(bundle);
        }
        if !diagnostics.has_errors() {
            diagnostics.extend(expected(&policies, &bundles, &budget));
        }
        if diagnostics.has_errors() {
            // Nobody will read what lints find.
            for_lints.spend();
        }
        let lints = lints.map(|it| it.join().unwrap_or_else(|panic| resume_unwind(panic)));
        if diagnostics.has_errors() {
            bundles.clear();
        } else {
            diagnostics.extend(lints.unwrap_or_default());
        }
    });
    Compiled {
        sources,
        diagnostics: diagnostics.into_sorted(),
        expectations,
        bundles,
        policies,
    }
}

/// Returns policies without what facts say beside them: a lint is about the text.
fn as_written<'p>(policies: &'p [Policy], facts: Option<&Facts>) -> Cow<'p, [Policy]> {
    if facts.is_none() {
        return Cow::Borrowed(policies);
    }
    let alone = |policy: &Policy| Policy {
        undeclared: Undeclared::default(),
        ..policy.clone()
    };
    policies.iter().map(alone).collect()
}

fn bundle(policy: &Policy, rulesets: Vec<Ruleset>, sources: &SourceMap, main: &str) -> Bundle {
    let emitted = Emitted {
        chains: at_once(&rulesets, |rules| render_chains(rules, sources)),
        modules: sysctl::modules(policy),
        rulesets,
        settings: sysctl::settings(policy),
        routes: routes(&policy.host.routes),
        bridge: bridge::render(policy, sources),
    };
    let manifest = manifest(policy, &emitted, sources, main);
    let mut parties = parties::parties(policy, &emitted.rulesets);
    parties.openings = openings::openings(policy, sources);
    let origins = origins(&emitted, sources);
    Bundle::new(manifest, parties, origins, files(&emitted, sources))
}

/// Does the same to each of a few things, which have nothing to do with each other.
fn at_once<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let work = &work;
    std::thread::scope(|scope| {
        let threads = things.iter().map(|thing| scope.spawn(move || work(thing)));
        let threads: Vec<_> = threads.collect();
        let done = threads
            .into_iter()
            .map(|it| it.join().unwrap_or_else(|panic| resume_unwind(panic)));
        done.collect()
    })
}

/// Returns the routes in the form of `ip -batch`, ip(8); no text where there are none.
fn routes(routes: &[Route]) -> String {
    let line = |route: &Route| {
        let device = route
            .device
            .as_ref()
            .map(|device| format!(" dev {}", device.0));
        let device = device.unwrap_or_default();
        format!(
            "route replace {} via {}{device} proto static\n",
            route.prefix, route.via
        )
    };
    routes.iter().map(line).collect()
}

/// Everything that a policy becomes.
struct Emitted {
    /// The text of each rule set's chains.
    chains: Vec<Vec<ChainText>>,
    modules: Vec<String>,
    rulesets: Vec<Ruleset>,
    settings: Vec<Setting>,
    routes: String,
    /// The table for frames within bridges.
    bridge: Option<String>,
}

impl Emitted {
    fn families(&self) -> impl Iterator<Item = (&Ruleset, &[ChainText])> {
        let chains = self.chains.iter().map(Vec::as_slice);
        self.rulesets.iter().zip(chains)
    }
}

fn rulesets(policy: &Policy, rules: Rules, diagnostics: &mut Diagnostics) -> Option<Vec<Ruleset>> {
    let lowered = at_once(&Family::BOTH, |family| match rules {
        Rules::Optimised => optimised(policy, *family),
        Rules::Plain => lower(policy, *family),
    });
    match lowered.into_iter().collect() {
        Ok(rulesets) => Some(rulesets),
        Err(error) => {
            diagnostics.push(too_many(&error));
            None
        }
    }
}

fn too_many(error: &TooManyRules) -> Diagnostic {
    let help = "name prefixes instead of single addresses, or fewer sets in one statement";
    let diagnostic = Diagnostic::error(code::TOO_MANY_RULES, error.to_string()).help(help);
    match error.span {
        Some(span) => diagnostic.at(span, "each source with each target and port is a rule"),
        None => diagnostic,
    }
}

fn files(emitted: &Emitted, sources: &SourceMap) -> BTreeMap<String, String> {
    let families: Vec<_> = emitted.families().collect();
    let texts = at_once(&families, |(ruleset, chains)| {
        let name = match ruleset.family {
            Family::V4 => RULES_V4,
            Family::V6 => RULES_V6,
        };
        (name.to_owned(), render(ruleset, chains))
    });
    let mut files: BTreeMap<String, String> = texts.into_iter().collect();
    files.insert(
        SYSCTL.to_owned(),
        sysctl::render(&emitted.settings, sources),
    );
    if !emitted.routes.is_empty() {
        files.insert(ROUTES.to_owned(), emitted.routes.clone());
    }
    files.extend(emitted.bridge.clone().map(|text| (BRIDGE.to_owned(), text)));
    if !emitted.modules.is_empty() {
        files.insert(MODULES.to_owned(), emitted.modules.join("\n") + "\n");
    }
    files
}

fn manifest(policy: &Policy, emitted: &Emitted, sources: &SourceMap, main: &str) -> Manifest {
    let rulesets = &emitted.rulesets;
    let forward = |(forward, span)| ForwardEntry {
        policy: policy_name(forward).to_owned(),
        source: sources.place(span),
    };
    let route = |route: &Route| RouteEntry {
        prefix: route.prefix,
        via: route.via,
        device: route.device.as_ref().map(|device| device.0.clone()),
        source: sources.place(route.span),
    };
    let setting = |setting: &Setting| SysctlEntry {
        key: setting.key.clone(),
        value: setting.value.clone(),
        source: sources.place(setting.span),
    };
    Manifest {
        format: FORMAT,
        tidegate: env!("CARGO_PKG_VERSION").to_owned(),
        policy: main.to_owned(),
        host: policy.host.name.clone(),
        engine: engine(policy.host.engine),
        daemon: daemon(policy, rulesets),
        mark: format!("{:#x}", policy.host.mark),
        files: BTreeMap::new(),
        hooks: rulesets.iter().flat_map(hooks).collect(),
        forward: policy.host.forward.map(forward),
        sysctls: emitted.settings.iter().map(setting).collect(),
        modules: emitted.modules.clone(),
        routes: policy.host.routes.iter().map(route).collect(),
    }
}

fn engine(engine: Engine) -> String {
    match engine {
        Engine::Docker { release, backend } => {
            let release = release.map(|release| format!(" {release}"));
            let backend = match backend {
                Backend::Iptables => "",
                Backend::Nftables => " nftables",
            };
            format!("docker{}{backend}", release.unwrap_or_default())
        }
        Engine::None(_) => "none".to_owned(),
        Engine::Podman => "podman".to_owned(),
    }
}

/// Returns what the engine's own settings must be for the policy to be true: Docker's nftables
/// tables let by what carries the grant only if told, and drop what is routed straight to a
/// container before any rule of ours sees it.
fn daemon(policy: &Policy, rulesets: &[Ruleset]) -> BTreeMap<String, Value> {
    let mut settings = BTreeMap::new();
    if policy.host.engine.is_nftables() {
        let mark = policy.host.mark;
        let mut set = |key: &str, value| settings.insert(key.to_owned(), value);
        set("firewall-backend", "nftables".into());
        set(
            "bridge-accept-fwmark",
            format!("{mark:#x}/{mark:#x}").into(),
        );
        if rulesets.iter().any(opens_direct_routes) {
            set("allow-direct-routing", true.into());
        }
    }
    settings
}

fn opens_direct_routes(ruleset: &Ruleset) -> bool {
    let mut raw = ruleset.table(Table::Raw).flat_map(|(_, rules)| rules);
    raw.any(|rule| rule.target == Target::Accept)
}

fn hooks(ruleset: &Ruleset) -> Vec<HookEntry> {
    let entry = |hook: &Hook| HookEntry {
        family: ruleset.family,
        table: hook.table,
        chain: hook.chain.to_owned(),
        target: hook.target.to_string(),
        place: hook.place,
        says: hook.says.to_owned(),
    };
    ruleset.hooks.iter().map(entry).collect()
}

/// Says for every rule that comes from the policy which line it is and what it means.
fn origins(emitted: &Emitted, sources: &SourceMap) -> Origins {
    // Rules of one statement share its text: it is asked for and written once.
    let (mut places, mut lines) = (HashMap::new(), Vec::new());
    let mut place = |origin: &Origin| {
        let at = *places.entry(origin.clone()).or_insert(lines.len());
        if at == lines.len() {
            lines.push(OriginEntry {
                source: sources.place(origin.span),
                says: origin.says.to_string(),
            });
        }
        // There are fewer lines than rules, and those are counted in 32 bits.
        u32::try_from(at).unwrap_or(u32::MAX)
    };
    let mut chains = Vec::new();
    for (ruleset, texts) in emitted.families() {
        for (((table, name), rules), text) in ruleset.chains.iter().zip(texts) {
            let rules = rules
                .iter()
                .map(|rule| rule.origin.as_ref().map(&mut place));
            let chain = ChainOrigins {
                sha256: sha256(text.rules.as_bytes()),
                rules: rules.collect(),
            };
            chains.push((ruleset.family, *table, name, chain));
        }
    }
    let mut origins = Origins::new(lines);
    for (family, table, name, chain) in chains {
        origins.add(family, table, name.as_str(), chain);
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::proof::not_loadable;
    use super::*;
    use crate::diag::text::{Style, render};
    use crate::diag::told;
    use crate::netfilter::bounds::Beyond;

    fn shown(diagnostics: &[Diagnostic]) -> String {
        let style = Style {
            colour: false,
            width: 100,
        };
        render(diagnostics, &SourceMap::default(), "", style)
    }

    /// Their policies are too large, or tidegate would have to be wrong: these messages stand here alone.
    #[test]
    fn rules_that_are_too_many_or_not_proven_are_told() {
        let limit = TooManyRules {
            limit: 100_000,
            span: None,
        };
        let deep = Invalid::TooDeep(crate::meaning::TooDeep {
            line: 7,
            chain: "TIDE-GATE".to_owned(),
        });
        let all = [
            too_many(&limit),
            unproven(Invalid::NotKnown, [1, 0]),
            omitted(),
            unproven(deep, [1, 0]),
            not_loadable(Family::V6, &Beyond::Jumps { jumps: 70_123 }),
        ];
        for diagnostic in &all {
            told(diagnostic.code, &shown(std::slice::from_ref(diagnostic)));
        }
    }
}
