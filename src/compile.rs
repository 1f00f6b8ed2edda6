//! From a policy to a bundle: every stage in its order, and nothing but the policy's texts in it.

use std::collections::BTreeMap;

use crate::artifact::{
    Bundle, ChainHash, FORMAT, HookEntry, MODULES, Manifest, RULES_V4, RULES_V6, SYSCTL,
    SourceEntry, SysctlEntry,
};
use crate::diag::{Diagnostic, Diagnostics, Severity, code};
use crate::hash::sha256;
use crate::netfilter::{
    ChainName, Family, Hook, Ruleset, TooManyRules, lower, policy_name, render, render_rule,
};
use crate::policy::ir::{Engine, Policy};
use crate::policy::{self, Loaded, Loader};
use crate::source::SourceMap;
use crate::sysctl::{self, Setting};

/// What a compilation gives: a bundle unless there was a mistake, and all that there is to say.
#[derive(Debug)]
pub struct Compiled {
    pub sources: SourceMap,
    /// By place.
    pub diagnostics: Vec<Diagnostic>,
    pub bundle: Option<Bundle>,
}

impl Compiled {
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Compiles the policy whose main file `loader` knows as `main`.
pub fn compile(loader: &dyn Loader, main: &str) -> Compiled {
    let Loaded {
        sources,
        mut diagnostics,
        policy,
    } = policy::load(loader, main);
    let rulesets = policy
        .as_ref()
        .and_then(|policy| rulesets(policy, &mut diagnostics));
    let bundle = policy.zip(rulesets).map(|(policy, rulesets)| {
        let emitted = Emitted {
            settings: sysctl::settings(&policy),
            modules: sysctl::modules(&policy),
            rulesets,
        };
        Bundle::new(
            manifest(&policy, &emitted, &sources, main),
            files(&emitted, &sources),
        )
    });
    Compiled {
        sources,
        diagnostics: diagnostics.into_sorted(),
        bundle,
    }
}

/// Everything that a policy becomes, before it is text.
struct Emitted {
    rulesets: Vec<Ruleset>,
    settings: Vec<Setting>,
    modules: Vec<String>,
}

fn rulesets(policy: &Policy, diagnostics: &mut Diagnostics) -> Option<Vec<Ruleset>> {
    let lowered = Family::BOTH.map(|family| lower(policy, family));
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
    let mut files = BTreeMap::new();
    for ruleset in &emitted.rulesets {
        let name = match ruleset.family {
            Family::V4 => RULES_V4,
            Family::V6 => RULES_V6,
        };
        files.insert(name.to_owned(), render(ruleset, sources));
    }
    files.insert(
        SYSCTL.to_owned(),
        sysctl::render(&emitted.settings, sources),
    );
    if !emitted.modules.is_empty() {
        files.insert(MODULES.to_owned(), emitted.modules.join("\n") + "\n");
    }
    files
}

fn manifest(policy: &Policy, emitted: &Emitted, sources: &SourceMap, main: &str) -> Manifest {
    let rulesets = &emitted.rulesets;
    let forward = policy.host.forward.map(|(forward, _)| policy_name(forward));
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
        mark: format!("{:#x}", policy.host.mark),
        files: BTreeMap::new(),
        chains: rulesets
            .iter()
            .flat_map(|rules| chains(rules, sources))
            .collect(),
        hooks: rulesets.iter().flat_map(hooks).collect(),
        forward: forward.map(str::to_owned),
        sysctls: emitted.settings.iter().map(setting).collect(),
        modules: emitted.modules.clone(),
        source_map: rulesets
            .iter()
            .flat_map(|rules| origins(rules, sources))
            .collect(),
    }
}

fn engine(engine: Engine) -> String {
    match engine {
        Engine::Docker { version: None } => "docker".to_owned(),
        Engine::Docker {
            version: Some((major, minor)),
        } => format!("docker {major}.{minor}"),
    }
}

/// Hashes each chain's rules as iptables-save prints them.
fn chains(ruleset: &Ruleset, sources: &SourceMap) -> Vec<ChainHash> {
    let hash = |((table, name), rules): (&(_, ChainName), &Vec<_>)| {
        let line = |rule| {
            let text = render_rule(rule, ruleset.family, ruleset.grant, sources);
            format!("-A {name}{text}\n")
        };
        let text: String = rules.iter().map(line).collect();
        ChainHash {
            family: ruleset.family,
            table: *table,
            chain: name.to_string(),
            sha256: sha256(text.as_bytes()),
        }
    };
    ruleset.chains.iter().map(hash).collect()
}

fn hooks(ruleset: &Ruleset) -> Vec<HookEntry> {
    let entry = |hook: &Hook| HookEntry {
        family: ruleset.family,
        table: hook.table,
        chain: hook.chain.to_owned(),
        target: hook.target.to_string(),
        place: hook.place,
    };
    ruleset.hooks.iter().map(entry).collect()
}

/// Says for every rule that comes from the policy which line it is and what it means.
fn origins(ruleset: &Ruleset, sources: &SourceMap) -> Vec<SourceEntry> {
    let mut entries = Vec::new();
    for ((table, chain), rules) in &ruleset.chains {
        for (rule, number) in rules.iter().zip(1..) {
            if let Some(origin) = &rule.origin {
                entries.push(SourceEntry {
                    family: ruleset.family,
                    table: *table,
                    chain: chain.to_string(),
                    rule: number,
                    source: sources.place(origin.span),
                    says: origin.says.clone(),
                });
            }
        }
    }
    entries
}
