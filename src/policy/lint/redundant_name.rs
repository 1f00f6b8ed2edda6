//! Names that add nothing to the others in their list.

use std::collections::HashSet;

use crate::diag::{Diagnostic, code};
use crate::policy::ir::{Access, Party, Policy};
use crate::source::Span;

use super::names::statements;

/// Warns of each list that has others beside `any`, or somebody twice.
pub(super) fn check(policy: &Policy) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for statement in statements(policy) {
        let Some(span) = statement.first().map(|it| it.span) else {
            continue;
        };
        let [left, right] = sides(statement);
        found.extend(redundant(policy, &left, |at| policy.left_name(span, at)));
        found.extend(redundant(policy, &right, |at| policy.right_name(span, at)));
    }
    for container in &policy.containers {
        let statements = container.exposures.chunk_by(|a, b| a.span == b.span);
        let first = statements.filter_map(<[_]>::first);
        found.extend(
            first.filter_map(|it| redundant(policy, &it.from, |at| policy.left_name(it.span, at))),
        );
    }
    found
}

fn sides(statement: &[Access]) -> [Vec<Party>; 2] {
    let left = statement.first().map(|it| it.left.to_vec());
    let right = statement.iter().flat_map(|it| it.right.iter().copied());
    [left.unwrap_or_default(), right.collect()]
}

fn redundant(policy: &Policy, list: &[Party], place: impl Fn(usize) -> Span) -> Option<Diagnostic> {
    let everybody = list.contains(&Party::Any);
    let (at, party, title, label) = match list.iter().position(|party| *party != Party::Any) {
        Some(at) if everybody => {
            let party = *list.get(at)?;
            let title = format!("`{}` adds nothing to `any`", policy.name(party));
            (at, party, title, "`any` beside it is everybody")
        }
        _ => {
            let (at, party) = twice(list)?;
            let title = format!("`{}` stands twice in one list", policy.name(party));
            (at, party, title, "again here")
        }
    };
    let warning = Diagnostic::warning(code::REDUNDANT_NAME, title).at(place(at), label);
    let first = list
        .iter()
        .position(|it| *it == party)
        .filter(|first| *first != at);
    let warning = match first.map(&place) {
        Some(first) if Some(first) != warning.place() => warning.also(first, "first here"),
        _ => warning,
    };
    if everybody {
        Some(warning.help("take `any` out if only the others are meant, else the others"))
    } else {
        Some(warning.help("take one of them out"))
    }
}

/// Returns the first that stands in a list again, and where.
fn twice(list: &[Party]) -> Option<(usize, Party)> {
    let mut seen = HashSet::new();
    let mut all = list.iter().copied().enumerate();
    all.find(|(_, party)| !seen.insert(*party))
}
