//! `tidegate matrix`.

use super::args::{MatrixArgs, TableFormat};
use super::diff::unknown;
use super::failure::{Failure, FailureKind};
use super::side::{Made, Source, machine_of, source};
use super::{Done, notes};
use crate::host::Progress;
use crate::netfilter::Family;
use crate::question;

pub(super) fn run(args: &MatrixArgs) -> Result<Done, Failure> {
    let is_for_people = args.format == TableFormat::Text;
    let _moving =
        is_for_people.then(|| Progress::on_terminal().moving("working out who reaches whom"));
    let (policy, warnings) = source(&args.policy, &args.side)?;
    if !matches!(policy, Source::Policy(_)) {
        let message = "a matrix needs a policy, for its names";
        let help = "with `--live` or `--rules FILE` its names are all that is used of it";
        return Err(Failure::new(FailureKind::Usage, message, help));
    }
    let rules = match &args.rules {
        Some(path) => Some(source(path, &args.side)?.0),
        None => args.live.then_some(Source::Live),
    };
    let sources: Vec<&Source> = rules.iter().chain([&policy]).collect();
    let (mut cells, mut said) = (Vec::new(), Vec::from_iter(policy.unknown_sets()));
    for family in Source::families(&sources, args.side.ipv6) {
        let named = machine_of(&policy, None, &args.side, family)?;
        let made = asked(args, rules.as_ref(), named, family)?;
        let policy = made.side.policy.as_ref();
        let found = policy.map(|policy| question::cells(&made.side, policy));
        let found = found.transpose().map_err(|error| unknown(&error))?;
        cells.extend(found.unwrap_or_default());
        let new = made.assumptions.into_iter();
        let new: Vec<String> = new.filter(|note| !said.contains(note)).collect();
        said.extend(new);
    }
    let cells = question::joined_cells(cells);
    let text = match args.format {
        TableFormat::Json => format!("{:#}\n", question::matrix_json(&cells)),
        TableFormat::Markdown => question::matrix_markdown(&cells),
        TableFormat::Text => question::matrix_text(&cells),
    };
    let done = Done {
        warnings: warnings + &notes(&said),
        ..Done::yes(text)
    };
    Ok(Source::whole(&sources, &args.side, done))
}

/// Returns the side that is asked: the policy's own, or one of other rules with the policy's names.
fn asked(
    args: &MatrixArgs,
    rules: Option<&Source>,
    named: Made,
    family: Family,
) -> Result<Made, Failure> {
    let Some(rules) = rules else {
        return Ok(named);
    };
    let mut other = machine_of(rules, None, &args.side, family)?;
    let mut named = named;
    question::on_one_host(&mut other.side, &mut named.side);
    other.side.policy = named.side.policy;
    Ok(other)
}
