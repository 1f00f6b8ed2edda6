//! `tidegate check`.

use std::path::Path;

use super::args::{CheckArgs, Format};
use super::failure::{Failure, FailureKind};
use super::{Done, compose, notes, policy};
use crate::compile::Compiled;
use crate::deploy;
use crate::diag::{Severity, json};
use crate::host::{self, LinuxHost, Trust, Variant};
use crate::import;

pub(super) fn run(args: &CheckArgs) -> Result<Done, Failure> {
    let mut compiled = policy::read(&args.policy, args.inventory.as_deref(), Trust::Anybody)?;
    if !args.compose.is_empty() {
        let project = compose::project(&args.compose, &args.project)?;
        let origin = compose::origin(&args.compose);
        // What an inventory knows is of this moment; compose files are about every one.
        let written = policy::read(&args.policy, None, Trust::Anybody)?;
        // Every host's view has all networks and containers.
        if let Some(policy) = written.policies.first() {
            let found = import::compare(policy, &project, &origin);
            compiled.say(found);
        }
    }
    match args.format {
        Format::Json => Ok(as_json(&compiled, &args.policy)),
        Format::Text => {
            let mut done = as_text(&compiled, &args.policy)?;
            if args.live {
                done.text.push_str(&notes(&live(&compiled)?));
            }
            Ok(done)
        }
    }
}

/// Looks at the machine for what would undo the policy or make it untrue.
fn live(compiled: &Compiled) -> Result<Vec<String>, Failure> {
    let machine = LinuxHost::new("/", Variant::Auto);
    let mut found = Vec::new();
    for bundle in &compiled.bundles {
        let manifest = bundle.manifest();
        found.extend(deploy::overridden(&machine, &manifest.sysctls)?);
        let engine = deploy::look_at_engine(&machine, manifest)?;
        found.extend(engine.errors.into_iter().chain(engine.notes));
    }
    found.dedup();
    Ok(found)
}

fn as_json(compiled: &Compiled, path: &Path) -> Done {
    let (diagnostics, sources) = (&compiled.diagnostics, &compiled.sources);
    Done {
        text: json::render_json(diagnostics, sources, &policy::base(path)),
        warnings: String::new(),
        yes: !compiled.has_errors(),
    }
}

fn as_text(compiled: &Compiled, path: &Path) -> Result<Done, Failure> {
    let said = policy::shown(compiled, path);
    let count = |severity, word| policy::count(&compiled.diagnostics, severity, word);
    let name = host::shown(path);
    if compiled.has_errors() {
        let mistakes = count(Severity::Error, "mistake");
        return Err(Failure {
            kind: FailureKind::No,
            text: format!("{said}error: {name} has {mistakes}\n"),
        });
    }
    let warnings = count(Severity::Warning, "warning");
    let mut text = format!("{name}: no mistakes, {warnings}\n");
    if compiled.expectations > 0 {
        text.push_str("note: `expect` is read; this version does not prove it\n");
    }
    Ok(Done {
        text,
        warnings: said,
        yes: true,
    })
}
