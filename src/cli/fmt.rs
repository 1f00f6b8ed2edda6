//! `tidegate fmt`.

use std::path::{Path, PathBuf};

use similar::TextDiff;

use super::args::FmtArgs;
use super::failure::{Failure, FailureKind};
use super::{Done, policy};
use crate::diag::Diagnostics;
use crate::diag::Severity;
use crate::format::format;
use crate::host::{self, FileKind, POLICY_FILE, Trust};
use crate::source::SourceMap;

/// A file with its text.
struct Text {
    path: PathBuf,
    old: String,
}

pub(super) fn run(args: &FmtArgs) -> Result<Done, Failure> {
    // All is read before anything is written.
    if args.paths.iter().any(|path| path == Path::new("-")) {
        return standard_input(args);
    }
    let mut texts = Vec::new();
    for path in paths(args)? {
        let old = host::read_file(&path, POLICY_FILE, Trust::Anybody)?;
        texts.push(Text { path, old });
    }
    let mut done = Done::yes(String::new());
    for text in texts {
        match text.laid_out() {
            Err(mistakes) => {
                done.warnings.push_str(&mistakes);
                done.yes = false;
            }
            Ok(new) if new == text.old => {}
            Ok(new) => text.changed(&new, args, &mut done)?,
        }
    }
    Ok(done)
}

/// Returns the files that are meant, each once.
fn paths(args: &FmtArgs) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in &args.paths {
        if host::kind(path) == FileKind::Folder {
            found.extend(host::policies_below(path)?);
        } else {
            found.push(path.clone());
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn standard_input(args: &FmtArgs) -> Result<Done, Failure> {
    if args.paths.len() > 1 {
        let message = "`-` cannot stand beside files";
        let help = "give standard input a command of its own";
        return Err(Failure::new(FailureKind::Usage, message, help));
    }
    let text = Text {
        path: PathBuf::from("standard input"),
        old: host::standard_input(POLICY_FILE)?,
    };
    let new = text.laid_out().map_err(|text| Failure {
        kind: FailureKind::No,
        text,
    })?;
    if !args.check && !args.diff {
        return Ok(Done::yes(new));
    }
    let mut done = Done::yes(String::new());
    if new != text.old {
        text.changed(&new, args, &mut done)?;
    }
    Ok(done)
}

impl Text {
    /// Returns the text in its one layout, or else its mistakes.
    fn laid_out(&self) -> Result<String, String> {
        let name = host::shown(&self.path);
        let mut sources = SourceMap::default();
        let source = sources.add(name.clone(), self.old.clone());
        let mut found = Diagnostics::default();
        format(source, &self.old, &mut found).ok_or_else(|| {
            let found = found.into_sorted();
            let count = policy::count(&found, Severity::Error, "mistake");
            let said = policy::told(&found, &sources, "");
            format!("{said}error: {name} has {count}; it stays as it is\n")
        })
    }

    /// Does and says what is to be done with a text that changes.
    fn changed(&self, new: &str, args: &FmtArgs, done: &mut Done) -> Result<(), Failure> {
        let name = host::shown(&self.path);
        if args.diff {
            let diff = TextDiff::from_lines(self.old.as_str(), new);
            let mut diff = diff.unified_diff();
            let diff = diff.header(&name, &name).to_string();
            done.text.push_str(&diff);
        } else {
            done.text.push_str(&name);
            done.text.push('\n');
        }
        if args.check || args.diff {
            done.yes = false;
            return Ok(());
        }
        Ok(host::rewrite(&self.path, new)?)
    }
}
