//! `tidegate diff`.

use super::args::{DiffArgs, SideArgs, TableFormat};
use super::failure::{Failure, FailureKind};
use super::side::{Source, machine_of, source};
use super::{Done, notes};
use crate::host::Progress;
use crate::question::{self, Diff, Unknowable};

pub(super) fn run(args: &DiffArgs) -> Result<Done, Failure> {
    let is_for_people = args.format == TableFormat::Text;
    let _moving = is_for_people.then(|| Progress::on_terminal().moving("comparing what they mean"));
    let (before, first) = source(&args.before, &args.side)?;
    let (after, second) = source(&args.after, &args.side)?;
    let (diff, said) = compared(&before, &after, &args.side)?;
    let done = Done {
        text: match args.format {
            TableFormat::Json => format!("{:#}\n", diff.as_json()),
            TableFormat::Markdown => diff.as_markdown(),
            TableFormat::Text => diff.as_text(),
        },
        warnings: first + &second + &notes(&said),
        yes: !diff.differs(),
        ..Done::default()
    };
    Ok(Source::whole(&[&before, &after], &args.side, done))
}

/// Compares two sides, and says what was taken for granted about them.
pub(super) fn compared(
    before: &Source,
    after: &Source,
    side: &SideArgs,
) -> Result<(Diff, Vec<String>), Failure> {
    let unknown_sets = [before, after].map(Source::unknown_sets);
    let mut said: Vec<String> = unknown_sets.into_iter().flatten().collect();
    said.dedup();
    let (mut all, mut unasked, mut unnoticed) = (Vec::new(), Vec::new(), Vec::new());
    for family in Source::families(&[before, after], side.ipv6) {
        let mut one = machine_of(before, None, side, family)?;
        let mut two = machine_of(after, Some(&one.side), side, family)?;
        let compared = question::compare(&mut one.side, &mut two.side);
        let compared = compared.map_err(|error| unknown(&error))?;
        all.extend(compared.found);
        unasked.extend(compared.unasked);
        unnoticed.extend(compared.unnoticed);
        let notes = [one.assumptions, two.assumptions, compared.assumptions];
        for note in notes.concat() {
            if !said.contains(&note) {
                said.push(note);
            }
        }
    }
    let mut diff = Diff::of(all);
    (diff.unasked, diff.unnoticed) = (unasked, unnoticed);
    Ok((diff, said))
}

pub(super) fn unknown(error: &Unknowable) -> Failure {
    let help = match error {
        Unknowable::Exhausted => "ask `tidegate trace` for the connections that matter",
        Unknowable::TooDeep(_) => "the kernel loads no such rules: is the file whole?",
    };
    Failure::new(FailureKind::No, &error.to_string(), help)
}
