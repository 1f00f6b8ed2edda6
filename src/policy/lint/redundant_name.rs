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
        for list in sides(statement) {
            found.extend(redundant(
                policy,
                &list,
                statement.first().map(|it| it.span),
            ));
        }
    }
    for container in &policy.containers {
        let statements = container.exposures.chunk_by(|a, b| a.span == b.span);
        let first = statements.filter_map(<[_]>::first);
        found.extend(first.filter_map(|it| redundant(policy, &it.from, Some(it.span))));
    }
    found
}

fn sides(statement: &[Access]) -> [Vec<Party>; 2] {
    let left = statement.first().map(|it| it.left.clone());
    let right = statement.iter().flat_map(|it| it.right.iter().copied());
    [left.unwrap_or_default(), right.collect()]
}

fn redundant(policy: &Policy, list: &[Party], span: Option<Span>) -> Option<Diagnostic> {
    let (title, label) = match list.iter().find(|party| **party != Party::Any) {
        Some(other) if list.contains(&Party::Any) => (
            format!("`{}` adds nothing to `any`", policy.name(*other)),
            "`any` is everybody",
        ),
        _ => {
            let twice = policy.name(twice(list)?);
            (format!("`{twice}` stands twice in one list"), "in this one")
        }
    };
    let warning = Diagnostic::warning(code::REDUNDANT_NAME, title).at(span?, label);
    if list.contains(&Party::Any) {
        Some(warning.help("take `any` out if only the others are meant, else the others"))
    } else {
        Some(warning.help("take one of them out"))
    }
}

fn twice(list: &[Party]) -> Option<Party> {
    let mut seen = HashSet::new();
    list.iter().copied().find(|party| !seen.insert(*party))
}
