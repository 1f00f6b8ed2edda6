//! `tidegate check`.

use std::path::Path;

use super::args::{CheckArgs, CheckFormat};
use super::failure::{Failure, FailureKind};
use super::{Done, compose, levels, notes, policy};
use crate::compile::{Compiled, How};
use crate::deploy;
use crate::deploy::against::Engine;
use crate::diag::Severity;
use crate::diag::finding::{Finding, Weight};
use crate::diag::github::render_github;
use crate::diag::json::render_json;
use crate::diag::sarif::render_sarif;
use crate::host::{self, LinuxHost, Trust, Variant};
use crate::import;

pub(super) fn run(args: &CheckArgs) -> Result<Done, Failure> {
    let levels = levels::read(&args.levels)?;
    let machine = args.live.then(|| LinuxHost::new("/", Variant::Auto));
    let engine = machine.as_ref().map(|machine| Engine::of(machine));
    let is_for_people = args.format == CheckFormat::Text;
    let moving = is_for_people.then(|| policy::compiling(&args.policy));
    let how = How {
        lints: true,
        ..How::default()
    };
    let mut compiled = read(args, engine.as_ref(), how)?;
    compare(&mut compiled, args)?;
    compiled.judge(&levels);
    if let Some(text) = for_programs(&compiled, args) {
        return Ok(Done {
            text,
            warnings: String::new(),
            yes: !compiled.has_errors(),
            ..Done::default()
        });
    }
    let seen = match (&machine, &engine) {
        (Some(machine), Some(engine)) => Some(live(machine, engine, &compiled, args)?),
        _ => None,
    };
    drop(moving);
    with_seen(&compiled, args, seen)
}

/// Compiles the policy. Addresses that it does not say are those of a file, else of the engine that was asked;
/// of several hosts nobody knows which the engine runs on.
fn read(args: &CheckArgs, engine: Option<&Engine>, how: How) -> Result<Compiled, Failure> {
    let inventory = args.inventory.as_deref();
    let facts = match inventory {
        Some(path) => Some(policy::read_inventory(path, Trust::Anybody)?),
        None => engine.and_then(Engine::facts).cloned(),
    };
    let compiled = policy::compiled(&args.policy, facts.as_ref(), Trust::Anybody, how)?;
    if inventory.is_none() && facts.is_some() && compiled.policies.len() > 1 {
        return policy::compiled(&args.policy, None, Trust::Anybody, how);
    }
    Ok(compiled)
}

/// What was seen of this machine.
struct Seen {
    notes: Vec<String>,
    found: Vec<Finding>,
    /// Why the policy was not compared with what runs.
    unknown: Option<&'static str>,
}

/// Returns what is to be said of a policy, and of the machine where that was looked at.
fn with_seen(compiled: &Compiled, args: &CheckArgs, seen: Option<Seen>) -> Result<Done, Failure> {
    let said = as_text(compiled, &args.policy);
    let Some(seen) = seen else {
        return said;
    };
    let told: String = seen.found.iter().map(Finding::text).collect();
    let unknown = seen.unknown.map(|why| notes(&[why])).unwrap_or_default();
    let told = notes(&seen.notes) + &told + &unknown;
    match said {
        Ok(mut done) => {
            let is_error = |it: &Finding| it.weight == Weight::Error;
            done.text.push_str(&told);
            done.yes = seen.unknown.is_none() && !seen.found.iter().any(is_error);
            Ok(done)
        }
        Err(mut failure) => {
            failure.text.insert_str(0, &told);
            Err(failure)
        }
    }
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

/// Looks at the machine for what would undo the policy or make it untrue, and for what it has otherwise.
fn live(
    machine: &LinuxHost,
    engine: &Engine,
    compiled: &Compiled,
    args: &CheckArgs,
) -> Result<Seen, Failure> {
    let mut notes = Vec::new();
    for bundle in &compiled.bundles {
        let manifest = bundle.manifest();
        notes.extend(deploy::overridden(machine, &manifest.sysctls)?);
        let engine = deploy::look_at_engine(machine, manifest)?;
        notes.extend(engine.errors.iter().map(ToString::to_string));
        notes.extend(engine.notes);
    }
    notes.dedup();
    let known;
    let subject = match (compiled.policies.is_empty(), engine.facts()) {
        // An address may be missing because of what is to be told.
        (true, Some(facts)) => {
            let closed = facts.clone().as_complete();
            let how = How::default();
            known = policy::compiled(&args.policy, Some(&closed), Trust::Anybody, how)?;
            &known
        }
        _ => compiled,
    };
    let (found, unknown) = match subject.policies.as_slice() {
        [] => (Vec::new(), Some(UNREAD)),
        [policy] => {
            let bundle = subject.bundles.first();
            let parties = bundle.and_then(|bundle| bundle.parties().ok());
            let openings = parties.map_or(&[][..], |it| &it.openings);
            (deploy::against::look_at(machine, policy, openings), None)
        }
        _ => (Vec::new(), Some(SEVERAL)),
    };
    Ok(Seen {
        notes,
        found,
        unknown,
    })
}

const SEVERAL: &str = "the policy has several hosts, and `check` does not know which this is: what runs here was not \
     compared; `tidegate plan --host NAME` compares it";
const UNREAD: &str = "with these mistakes the policy cannot be compared with what runs here";

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
        ..Done::default()
    })
}

fn kept(expectations: usize) -> String {
    match expectations {
        0 => String::new(),
        1 => "the rules keep its expectation\n".to_owned(),
        count => format!("the rules keep its {count} expectations\n"),
    }
}
