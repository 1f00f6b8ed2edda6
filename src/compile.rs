//! From a policy to a bundle: every stage in its order, and nothing but the policy's texts in it.

use std::collections::BTreeMap;

use crate::artifact::{
    Bundle, ChainHash, FORMAT, HookEntry, MODULES, Manifest, RULES_V4, RULES_V6, SYSCTL,
    SourceEntry, SysctlEntry,
};
use crate::diag::{Diagnostic, Severity, code};
use crate::hash::sha256;
use crate::netfilter::{Family, Ruleset, lower, policy_name, render, render_rule};
use crate::policy::ir::{Engine, Policy};
use crate::policy::{self, Loader};
use crate::source::SourceMap;
use crate::sysctl;

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
    let loaded = policy::load(loader, main);
    let mut diagnostics = loaded.diagnostics;
    let sources = loaded.sources;
    let bundle = loaded
        .policy
        .and_then(|policy| match bundle(&policy, &sources, main) {
            Ok(bundle) => Some(bundle),
            Err(diagnostic) => {
                diagnostics.push(diagnostic);
                None
            }
        });
    Compiled {
        sources,
        diagnostics: diagnostics.into_sorted(),
        bundle,
    }
}

fn bundle(policy: &Policy, sources: &SourceMap, main: &str) -> Result<Bundle, Diagnostic> {
    let mut rulesets = Vec::new();
    for family in Family::BOTH {
        let too_many = |error: crate::netfilter::TooManyRules| {
            let help = "split the sets, or name prefixes instead of single addresses";
            Diagnostic::error(code::TOO_MANY_RULES, error.to_string()).help(help)
        };
        rulesets.push(lower(policy, family).map_err(too_many)?);
    }
    let settings = sysctl::settings(policy);
    let modules = sysctl::modules(policy);
    let mut files = BTreeMap::new();
    for ruleset in &rulesets {
        let name = match ruleset.family {
            Family::V4 => RULES_V4,
            Family::V6 => RULES_V6,
        };
        files.insert(name.to_owned(), render(ruleset, sources));
    }
    files.insert(SYSCTL.to_owned(), sysctl::render(&settings, sources));
    if !modules.is_empty() {
        let lines = modules.iter().map(|module| format!("{module}\n")).collect();
        files.insert(MODULES.to_owned(), lines);
    }
    let sysctls = settings.iter().map(|setting| SysctlEntry {
        key: setting.key.clone(),
        value: setting.value.clone(),
        source: sources.place(setting.span),
    });
    let manifest = Manifest {
        format: FORMAT,
        tidegate: env!("CARGO_PKG_VERSION").to_owned(),
        policy: main.to_owned(),
        host: policy.host.name.clone(),
        engine: engine(policy.host.engine),
        mark: format!("{:#x}", policy.host.mark),
        files: BTreeMap::new(),
        chains: rulesets
            .iter()
            .flat_map(|ruleset| chains(ruleset, sources))
            .collect(),
        hooks: rulesets.iter().flat_map(hooks).collect(),
        forward: policy
            .host
            .forward
            .map(|(policy, _)| policy_name(policy).to_owned()),
        sysctls: sysctls.collect(),
        modules,
        source_map: rulesets
            .iter()
            .flat_map(|ruleset| origins(ruleset, sources))
            .collect(),
    };
    Ok(Bundle::new(manifest, files))
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
    let hash = |((table, name), rules): (&(_, crate::netfilter::ChainName), &Vec<_>)| {
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
    let entry = |hook: &crate::netfilter::Hook| HookEntry {
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
