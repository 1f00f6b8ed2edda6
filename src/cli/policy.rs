//! A policy given by path: compiled, with what there is to say about it.

use std::ops::RangeInclusive;
use std::path::Path;

use super::failure::{Failure, FailureKind};
use crate::artifact::Bundle;
use crate::compile::{Compiled, How, Subject, compile_with};
use crate::diag::text::{Style, render};
use crate::diag::{Diagnostic, Severity};
use crate::facts::{self, Facts};
use crate::host::{self, FolderLoader, Moving, Progress, Trust, shown as shown_path};
use crate::source::SourceMap;

/// Columns of messages where nobody says how many there are; wide enough for a policy's lines.
const WIDTH: usize = 100;

/// Columns that messages have room in, and that eyes still follow.
const READABLE: RangeInclusive<usize> = 60..=120;

/// Compiles the policy at `path` for the host of a name, or for its only one, with what the host sees of
/// it.
///
/// Errors: mistakes in the policy; a name that no host has; several hosts, and no name.
pub(super) fn subject(
    path: &Path,
    with: &With<'_>,
    trust: Trust,
    consequence: &str,
) -> Result<(Subject, String), Failure> {
    let compiled = match &with.engine {
        None => read(path, with.inventory, trust, How::default())?,
        Some(engine) => compiled(path, Some(engine), trust, How::default())?,
    };
    of_host(path, compiled, with.host, consequence)
}

/// Returns what the host of a name has of a policy, or its only one.
pub(super) fn of_host(
    path: &Path,
    compiled: Compiled,
    host: Option<&str>,
    consequence: &str,
) -> Result<(Subject, String), Failure> {
    let (subjects, warnings) = subjects(path, compiled, consequence)?;
    let names: Vec<String> = subjects
        .iter()
        .map(|subject| name(&subject.bundle))
        .collect();
    let mut fitting = subjects
        .into_iter()
        .filter(|subject| host.is_none_or(|host| name(&subject.bundle) == host));
    match (fitting.next(), fitting.next()) {
        (Some(subject), None) => Ok((subject, warnings)),
        _ => Err(which_host(host, &names)),
    }
}

/// Returns the bundles of all hosts of a policy, and what there is to warn of.
///
/// Errors: mistakes in the policy, all of them in one text, which ends with `consequence`.
pub(super) fn all(
    path: &Path,
    compiled: Compiled,
    consequence: &str,
) -> Result<(Vec<Bundle>, String), Failure> {
    let (subjects, text) = subjects(path, compiled, consequence)?;
    let bundles = subjects.into_iter().map(|subject| subject.bundle);
    Ok((bundles.collect(), text))
}

fn subjects(
    path: &Path,
    compiled: Compiled,
    consequence: &str,
) -> Result<(Vec<Subject>, String), Failure> {
    let text = shown(&compiled, path);
    if !compiled.bundles.is_empty() {
        return Ok((compiled.subjects(), text));
    }
    Err(Failure {
        kind: FailureKind::No,
        text: format!(
            "{text}error: {} has {}; {consequence}\n",
            shown_path(path),
            count(&compiled.diagnostics, Severity::Error, "mistake")
        ),
    })
}

/// Returns the name of a bundle's host; empty where the policy names none.
pub(super) fn name(bundle: &Bundle) -> String {
    bundle.manifest().host.clone().unwrap_or_default()
}

fn which_host(wanted: Option<&str>, names: &[String]) -> Failure {
    let known: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !name.is_empty())
        .collect();
    let list = known.join(", ");
    let (message, help) = match wanted {
        Some(wanted) if known.is_empty() => (
            format!("the policy has no host `{wanted}`"),
            "its only host has no name: leave out `--host`".to_owned(),
        ),
        Some(wanted) => (
            format!("the policy has no host `{wanted}`"),
            format!("its hosts are {list}"),
        ),
        None => (
            "the policy has several hosts".to_owned(),
            format!("say which with `--host`: {list}"),
        ),
    };
    Failure::new(FailureKind::Usage, &message, &help)
}

/// Compiles the policy at `path`, whatever comes of it.
pub(super) fn read(
    path: &Path,
    inventory: Option<&Path>,
    trust: Trust,
    how: How,
) -> Result<Compiled, Failure> {
    let inventory = inventory.map(|path| read_inventory(path, trust));
    compiled(path, inventory.transpose()?.as_ref(), trust, how)
}

/// Like [`read`], with facts that are known already.
pub(super) fn compiled(
    path: &Path,
    facts: Option<&Facts>,
    trust: Trust,
    how: How,
) -> Result<Compiled, Failure> {
    let (loader, main) = FolderLoader::of_policy(path, trust)?;
    Ok(compile_with(&loader, &main, facts, how))
}

pub(super) fn read_inventory(path: &Path, trust: Trust) -> Result<Facts, Failure> {
    let text = host::read_file(path, facts::MAX_BYTES, trust)?;
    Facts::read(&text).map_err(|error| {
        let message = format!("{}: {error}", shown_path(path));
        let help = "make it with `tidegate inventory`, or write it in the same form";
        Failure::new(FailureKind::No, &message, help)
    })
}

/// What a policy is compiled for and with.
#[derive(Debug, Clone, Default)]
pub(super) struct With<'a> {
    /// The host's name, where the policy has several.
    pub(super) host: Option<&'a str>,
    pub(super) inventory: Option<&'a Path>,
    /// What the engine of this machine knows, instead of a file.
    pub(super) engine: Option<Facts>,
}

/// Shows that a policy is being compiled, until what is returned is dropped.
pub(super) fn compiling(path: &Path) -> Moving {
    let what = format!("compiling and proving {}", shown_path(path));
    Progress::on_terminal().moving(&what)
}

/// Returns all diagnostics as text, with colours that the stream takes out where nobody sees them.
pub(super) fn shown(compiled: &Compiled, path: &Path) -> String {
    told(&compiled.diagnostics, &compiled.sources, &base(path))
}

/// Like [`shown`], of files below `base`.
pub(super) fn told(all: &[Diagnostic], sources: &SourceMap, base: &str) -> String {
    let style = Style {
        colour: true,
        width: host::columns().map_or(WIDTH, |columns| {
            columns.clamp(*READABLE.start(), *READABLE.end())
        }),
    };
    render(all, sources, base, style)
}

/// Returns the policy's folder as the user wrote it; empty for the current one.
pub(super) fn base(path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new(""));
    shown_path(folder)
}

/// Counts what is of one severity: `1 mistake`, `3 mistakes`.
pub(super) fn count(all: &[Diagnostic], severity: Severity, word: &str) -> String {
    let number = all.iter().filter(|one| one.severity == severity).count();
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {word}{ending}")
}
