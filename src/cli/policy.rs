//! A policy given by path: compiled, with what there is to say about it.

use std::path::Path;

use super::failure::{Failure, FailureKind};
use crate::artifact::Bundle;
use crate::compile::{Compiled, compile};
use crate::diag::Severity;
use crate::diag::text::{Style, render};
use crate::host::{FolderLoader, Trust, shown as shown_path};

/// Columns that messages are trimmed to; wide enough for a policy's lines.
const WIDTH: usize = 120;

/// A policy that compiled, and its warnings as text.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) bundle: Bundle,
    pub(super) warnings: String,
}

/// Compiles the policy at `path`.
///
/// Errors: mistakes in the policy, all of them in one text, which ends with `consequence`.
pub(super) fn checked(path: &Path, trust: Trust, consequence: &str) -> Result<Checked, Failure> {
    let compiled = read(path, trust)?;
    let text = shown(&compiled, path);
    match compiled.bundle {
        Some(bundle) => Ok(Checked {
            bundle,
            warnings: text,
        }),
        None => Err(Failure {
            kind: FailureKind::No,
            text: format!(
                "{text}error: {} has {}; {consequence}\n",
                shown_path(path),
                count(&compiled.diagnostics, Severity::Error, "mistake")
            ),
        }),
    }
}

/// Compiles the policy at `path`, whatever comes of it.
pub(super) fn read(path: &Path, trust: Trust) -> Result<Compiled, Failure> {
    let (loader, main) = FolderLoader::of_policy(path, trust)?;
    Ok(compile(&loader, &main))
}

/// Returns all diagnostics as text, with colours that the stream takes out where nobody sees them.
pub(super) fn shown(compiled: &Compiled, path: &Path) -> String {
    let style = Style {
        colour: true,
        width: WIDTH,
    };
    render(&compiled.diagnostics, &compiled.sources, &base(path), style)
}

/// Returns the policy's folder as the user wrote it; empty for the current one.
pub(super) fn base(path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new(""));
    shown_path(folder)
}

/// Counts what is of one severity: `1 mistake`, `3 mistakes`.
pub(super) fn count(all: &[crate::diag::Diagnostic], severity: Severity, word: &str) -> String {
    let number = all.iter().filter(|one| one.severity == severity).count();
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {word}{ending}")
}
