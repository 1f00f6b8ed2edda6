//! What a policy says that does nothing, or says twice: as far as its names tell, and as far as only its
//! meaning does.

mod spare;
mod surplus;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::diag::{Diagnostic, code};
use crate::policy::{self, ir::Policy};
use crate::source::Span;

/// Most edges that a family of a host may need; one takes about 24 bytes.
const MAX_EDGES: usize = 6_000_000;

/// Returns what there is to say about a policy without mistakes, given as each of its hosts sees it.
pub fn lint(policies: &[Policy]) -> Vec<Diagnostic> {
    lint_within(policies, MAX_EDGES)
}

fn lint_within(policies: &[Policy], edges: usize) -> Vec<Diagnostic> {
    let mut found = policy::lint(policies);
    let gone = told(&found);
    let spare = spare::check(policies, edges);
    let surplus = surplus::check(policies, &gone, edges);
    match (spare, surplus) {
        (Ok(spare), Ok(surplus)) => found.extend(spare.into_iter().chain(surplus)),
        (Err(error), _) | (_, Err(error)) => found.push(
            Diagnostic::warning(code::NOT_COMPARED, error.to_string())
                .note("Nobody knows which of them open or deny nothing.")
                .help("name prefixes instead of single addresses, or fewer sets in one statement"),
        ),
    }
    found
}

/// Returns the statements of which somebody has said that they do nothing: it is said once.
fn told(found: &[Diagnostic]) -> BTreeSet<Span> {
    let codes = [code::CLOSED_PORT, code::HOST_LEFT_OPEN, code::REPEATED];
    let found = found.iter().filter(|it| codes.contains(&it.code));
    let labels = found.flat_map(|it| &it.labels).filter(|it| it.primary);
    labels.map(|label| label.span).collect()
}
