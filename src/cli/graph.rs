//! `tidegate graph`.

use std::path::{Path, PathBuf};

use super::args::{GraphArgs, Iptables, PaperArgs, PictureFormat, SideArgs};
use super::diff::unknown;
use super::failure::{Failure, FailureKind};
use super::side::{Made, Source, machine_of, source};
use super::trace::MAX_RULES;
use super::{Done, notes, policy};
use crate::compile::Subject;
use crate::host::{self, FileKind, Trust};
use crate::picture;
use crate::question::{self, Cell};

pub(super) fn run(args: &GraphArgs) -> Result<Done, Failure> {
    let _moving = policy::compiling(&args.policy);
    let side = side_args(&args.paper);
    let (source, warnings) = source(&args.policy, &side)?;
    let subject = policy_of(&source, "a picture")?;
    let (made, mut said) = machines(&source, &side)?;
    said.extend(source.unknown_sets());
    let cells = cells(&made)?;
    let graph = picture::graph(&title(&args.policy, subject), &subject.policy, &cells);
    let text = match args.format {
        PictureFormat::Dot => picture::dot(&graph),
        PictureFormat::Mermaid => picture::mermaid(&graph),
        PictureFormat::Svg => picture::svg(&graph),
    };
    written(args.paper.output.as_ref(), text, warnings + &notes(&said))
}

/// Returns what a side is asked for that can only be a policy.
pub(super) fn side_args(paper: &PaperArgs) -> SideArgs {
    SideArgs {
        ipv6: false,
        host_name: paper.host_name.clone(),
        inventory: paper.inventory.clone(),
        output: String::new(),
        iptables: Iptables::Auto,
    }
}

/// Returns the policy of a source.
///
/// Errors: it is rules without one.
pub(super) fn policy_of<'s>(source: &'s Source, what: &str) -> Result<&'s Subject, Failure> {
    match source {
        Source::Policy(subject) => Ok(subject),
        Source::Live | Source::Saved { .. } => {
            let message = format!("{what} needs a policy, for its names and lines");
            let help = "name its main file, or compile it and name the bundle";
            Err(Failure::new(FailureKind::Usage, &message, help))
        }
    }
}

/// Makes the machine of each family, with what was taken for granted.
pub(super) fn machines(
    source: &Source,
    side: &SideArgs,
) -> Result<(Vec<Made>, Vec<String>), Failure> {
    let (mut all, mut said) = (Vec::new(), Vec::new());
    for family in Source::families(&[source], false) {
        let made = machine_of(source, None, side, family)?;
        for note in &made.assumptions {
            if !said.contains(note) {
                said.push(note.clone());
            }
        }
        all.push(made);
    }
    Ok((all, said))
}

/// Returns who reaches whom, in all families.
pub(super) fn cells(made: &[Made]) -> Result<Vec<Cell>, Failure> {
    let mut cells = Vec::new();
    for made in made {
        if let Some(policy) = &made.side.policy {
            let found = question::cells(&made.side, policy);
            cells.extend(found.map_err(|error| unknown(&error))?);
        }
    }
    Ok(question::joined_cells(cells))
}

/// Names a policy by its file, not by the way to it, so that it is the same from any folder.
pub(super) fn title(path: &Path, subject: &Subject) -> String {
    let file = path.file_name().map(PathBuf::from).unwrap_or_default();
    let name = host::shown(&file);
    match &subject.policy.host.name {
        Some(host) => format!("{name} for {host}"),
        None => name,
    }
}

/// Refuses to replace what tidegate did not draw: the policy, its addresses, or anything of somebody's.
fn refuse_others(path: &Path) -> Result<(), Failure> {
    if host::kind(path) == FileKind::Absent {
        return Ok(());
    }
    // What is too big, no text or no file is none of ours either.
    let old = host::read_file(path, MAX_RULES, Trust::Anybody).unwrap_or_else(|_| "?".to_owned());
    if old.is_empty() || picture::is_drawn(&old) {
        return Ok(());
    }
    let message = format!(
        "{} is there, and tidegate did not write it",
        host::shown(path)
    );
    let help = "name a new file; only an older picture or page is replaced";
    Err(Failure::new(FailureKind::Usage, &message, help))
}

/// Prints a text, or writes it to a file and says so.
///
/// Errors: something else than a picture or a page of tidegate's stands there.
pub(super) fn written(
    output: Option<&PathBuf>,
    text: String,
    warnings: String,
) -> Result<Done, Failure> {
    let text = match output {
        None => text,
        Some(path) => {
            refuse_others(path)?;
            host::write_file(path, &text)?;
            format!("{} is written\n", host::shown(path))
        }
    };
    Ok(Done {
        warnings,
        ..Done::yes(text)
    })
}
