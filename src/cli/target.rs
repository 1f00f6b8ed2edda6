//! What a command acts on: a machine, and a bundle or a policy given by path.

use std::path::Path;

use super::args::HostArgs;
use super::failure::{Failure, FailureKind};
use super::policy;
use crate::artifact::{Bundle, MANIFEST};
use crate::compare::{Asks, World, compare};
use crate::compile::{How, Subject, recovered};
use crate::deploy::Problem;
use crate::deploy::against::Engine;
use crate::diag::finding::{Finding, Weight};
use crate::host::{self, FileKind, LinuxHost, Trust};
use crate::policy::ir::Policy;

/// Returns the machine, if this process may change it.
pub(super) fn machine(args: &HostArgs) -> Result<LinuxHost, Failure> {
    if !host::is_root() {
        let help = "run it as root";
        return Err(Failure::new(
            FailureKind::Usage,
            "this needs root's rights",
            help,
        ));
    }
    Ok(LinuxHost::new(&args.root, args.iptables.into()))
}

/// A policy or bundle that may be put in force, and what is known of what runs.
pub(super) struct Wanted {
    pub(super) subject: Subject,
    pub(super) warnings: String,
    pub(super) engine: Engine,
}

/// Reads the bundle at `path`, every file once, and checks whose it is and that it is whole; a policy is
/// compiled under the same conditions. Either is compared with what runs on this machine.
///
/// Errors: what runs contradicts it.
pub(super) fn wanted(
    host: &LinuxHost,
    path: &Path,
    with: &policy::With<'_>,
) -> Result<Wanted, Failure> {
    let engine = Engine::of(host);
    let (subject, warnings) = match host::kind(path) {
        FileKind::Absent => return Err(absent(path)),
        FileKind::Folder => {
            let subject = named_folder(path, with.host, Trust::Root)?;
            let told = compared(&subject.policy, &engine)?;
            (subject, told)
        }
        FileKind::Other => {
            // Its thread is gone before anything is changed.
            let _moving = policy::compiling(path);
            policy(path, with, &engine)?
        }
    };
    let silence = engine.silence().map(|finding| finding.text());
    Ok(Wanted {
        subject,
        warnings: warnings + &silence.unwrap_or_default(),
        engine,
    })
}

/// Refuses what may do harm that nobody means.
pub(super) fn unwanted(harms: &[Finding]) -> Failure {
    let text: String = harms.iter().map(Finding::text).collect();
    Failure {
        kind: FailureKind::No,
        text: format!("{text}error: nothing was changed\n"),
    }
}

/// Compares a bundle with what runs.
fn compared(policy: &Policy, engine: &Engine) -> Result<String, Failure> {
    let text: String = differences(policy, engine)
        .iter()
        .map(Finding::text)
        .collect();
    if differences(policy, engine)
        .iter()
        .any(|it| it.weight == Weight::Error)
    {
        return Err(Failure {
            kind: FailureKind::No,
            text: format!("{text}error: the bundle is of what does not run here; {CONSEQUENCE}\n"),
        });
    }
    Ok(text)
}

fn differences(policy: &Policy, engine: &Engine) -> Vec<Finding> {
    let world = |facts| World {
        policy,
        facts,
        asks: Asks::Change,
    };
    engine
        .facts()
        .map_or_else(Vec::new, |facts| compare(world(facts)))
}

fn absent(path: &Path) -> Failure {
    let message = format!("{} is not there", host::shown(path));
    let help = format!("give a policy, or the folder that holds {MANIFEST}");
    Failure::new(FailureKind::Usage, &message, &help)
}

/// Like [`folder`], with the names that the bundle's manifest keeps.
pub(super) fn named_folder(
    path: &Path,
    name: Option<&str>,
    trust: Trust,
) -> Result<Subject, Failure> {
    let bundle = folder(path, name, trust)?;
    let parties = bundle.parties().map_err(Problem::from)?;
    let policy = recovered(bundle.manifest(), parties).map_err(|error| {
        let help = "compile the policy again, or give the policy itself";
        Failure::new(FailureKind::No, &error.to_string(), help)
    })?;
    Ok(Subject { policy, bundle })
}

/// Reads the bundle in a folder, which must be for the host of a name where one is given.
pub(super) fn folder(path: &Path, name: Option<&str>, trust: Trust) -> Result<Bundle, Failure> {
    let files = host::read_folder(path, trust)?.unwrap_or_default();
    let bundle = Bundle::read(files).map_err(Problem::from)?;
    match name.filter(|name| *name != policy::name(&bundle)) {
        None => Ok(bundle),
        Some(name) => {
            let message = format!("{} is not a bundle for `{name}`", host::shown(path));
            let help = "give the bundle that was compiled for this machine";
            Err(Failure::new(FailureKind::Usage, &message, help))
        }
    }
}

/// Compiles a policy with what runs, and compares it with that. Addresses that it does not say are those of
/// a file, else of the engine.
fn policy(
    path: &Path,
    with: &policy::With<'_>,
    engine: &Engine,
) -> Result<(Subject, String), Failure> {
    let facts = with.engine.as_ref().or(engine.facts());
    let mut compiled = match with.inventory {
        Some(file) => policy::read(path, Some(file), Trust::Root, How::default())?,
        None => policy::compiled(path, facts, Trust::Root, How::default())?,
    };
    let found = match (compiled.policies.is_empty(), engine.facts()) {
        // An address may be missing because of what is to be told.
        (true, Some(facts)) => {
            let closed = facts.clone().as_complete();
            let closed = policy::compiled(path, Some(&closed), Trust::Root, How::default())?;
            differences_of(&closed.policies, with.host, engine)
        }
        _ => differences_of(&compiled.policies, with.host, engine),
    };
    compiled.say(found.iter().filter_map(Finding::diagnostic).collect());
    let notes = found.iter().filter(|it| it.weight == Weight::Note);
    let notes: String = notes.map(Finding::text).collect();
    if compiled.has_errors() {
        compiled.bundles.clear();
    }
    let (subject, warnings) = policy::of_host(path, compiled, with.host, CONSEQUENCE)?;
    Ok((subject, warnings + &notes))
}

/// Compares what the host of a name sees of a policy, or its only one, with what runs. Which of several is
/// meant is asked when the policy is read.
fn differences_of(all: &[Policy], host: Option<&str>, engine: &Engine) -> Vec<Finding> {
    let is_meant = |it: &&Policy| host.is_none_or(|host| it.host.name.as_deref() == Some(host));
    let meant: Vec<&Policy> = all.iter().filter(is_meant).collect();
    match meant.as_slice() {
        [policy] => differences(policy, engine),
        _ => Vec::new(),
    }
}

const CONSEQUENCE: &str = "this machine stays as it is";
