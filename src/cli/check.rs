//! `tidegate check`.

use std::path::Path;

use super::args::{CheckArgs, CheckFormat};
use super::failure::{Failure, FailureKind};
use super::{Done, compose, levels, notes, policy};
use crate::compile::{Compiled, How};
use crate::deploy;
use crate::diag::Severity;
use crate::diag::finding::{Finding, Weight};
use crate::diag::github::render_github;
use crate::diag::json::render_json;
use crate::diag::sarif::render_sarif;
use crate::host::{self, LinuxHost, Trust, Variant};
use crate::import;

pub(super) fn run(args: &CheckArgs) -> Result<Done, Failure> {
    let levels = levels::read(&args.levels)?;
    let inventory = args.inventory.as_deref();
    let is_for_people = args.format == CheckFormat::Text;
    let moving = is_for_people.then(|| policy::compiling(&args.policy));
    let how = How {
        lints: true,
        ..How::default()
    };
    let mut compiled = policy::read(&args.policy, inventory, Trust::Anybody, how)?;
    compare(&mut compiled, args)?;
    drop(moving);
    compiled.judge(&levels);
    if let Some(text) = for_programs(&compiled, args) {
        return Ok(Done {
            text,
            warnings: String::new(),
            yes: !compiled.has_errors(),
        });
    }
    let mut done = as_text(&compiled, &args.policy)?;
    if args.live {
        done.text.push_str(&notes(&live(&compiled)?));
        if compiled.policies.len() > 1 {
            done.text.push_str(&notes(&[SEVERAL]));
        }
        let found = against(&compiled);
        done.text.extend(found.iter().map(Finding::text));
        done.yes = found.iter().all(|it| it.weight != Weight::Error);
    }
    Ok(done)
}

/// Adds what compose files have otherwise than the policy, where any are named.
fn compare(compiled: &mut Compiled, args: &CheckArgs) -> Result<(), Failure> {
    if args.compose.is_empty() {
        return Ok(());
    }
    let project = compose::project(&args.compose, &args.project)?;
    let origin = compose::origin(&args.compose);
    // What an inventory knows is of this moment; compose files are about every one.
    let written = policy::read(&args.policy, None, Trust::Anybody, How::default())?;
    // Every host's view has all networks and containers.
    if let Some(policy) = written.policies.first() {
        let found = import::compare(policy, &project, &origin);
        compiled.say(found);
    }
    Ok(())
}

/// Looks at the machine for what would undo the policy or make it untrue.
fn live(compiled: &Compiled) -> Result<Vec<String>, Failure> {
    let machine = LinuxHost::new("/", Variant::Auto);
    let mut found = Vec::new();
    for bundle in &compiled.bundles {
        let manifest = bundle.manifest();
        found.extend(deploy::overridden(&machine, &manifest.sysctls)?);
        let engine = deploy::look_at_engine(&machine, manifest)?;
        found.extend(engine.errors.iter().map(ToString::to_string));
        found.extend(engine.notes);
    }
    found.dedup();
    Ok(found)
}

const SEVERAL: &str =
    "the policy has several hosts, and nobody says which this is: what runs here was not compared";

/// Compares the policy of one host with what runs here.
fn against(compiled: &Compiled) -> Vec<Finding> {
    let machine = LinuxHost::new("/", Variant::Auto);
    match (compiled.policies.as_slice(), compiled.bundles.as_slice()) {
        ([policy], [bundle]) => {
            let openings = bundle.parties().map_or(&[][..], |it| &it.openings);
            deploy::against::look_at(&machine, policy, openings)
        }
        _ => Vec::new(),
    }
}

/// Writes the diagnostics in a form for other programs, if one is asked for.
fn for_programs(compiled: &Compiled, args: &CheckArgs) -> Option<String> {
    let (found, sources) = (&compiled.diagnostics, &compiled.sources);
    let base = policy::base(&args.policy);
    match args.format {
        CheckFormat::Github => Some(render_github(found, sources, &base)),
        CheckFormat::Json => Some(render_json(found, sources, &base)),
        CheckFormat::Sarif => Some(render_sarif(found, sources, &base)),
        CheckFormat::Text => None,
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
    text.push_str(&kept(compiled.expectations));
    Ok(Done {
        text,
        warnings: said,
        yes: true,
    })
}

fn kept(expectations: usize) -> String {
    match expectations {
        0 => String::new(),
        1 => "the rules keep its expectation\n".to_owned(),
        count => format!("the rules keep its {count} expectations\n"),
    }
}
