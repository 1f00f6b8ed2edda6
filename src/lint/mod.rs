//! What a policy says that does nothing, or says twice: as far as its names tell, and as far as only its
//! meaning does.

mod spare;
mod surplus;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::diag::{Diagnostic, code};
use crate::diagram::Budget;
use crate::policy::{self, ir::Policy};
use crate::source::Span;

/// Most edges that a family of a host may need, and all together; one takes about 24 bytes.
const EDGES: [usize; 2] = [6_000_000, 12_000_000];
/// Most steps of work on all hosts.
const STEPS: u64 = 60_000_000;

/// Returns what all lints of a policy share.
pub fn budget() -> Budget {
    let [each, all] = EDGES;
    Budget::new(each, all, STEPS)
}

/// Returns what there is to say about a policy without mistakes, given as each of its hosts sees it.
pub fn lint(policies: &[Policy]) -> Vec<Diagnostic> {
    lint_within(policies, &budget())
}

/// Like [`lint`]; where the budget does not last, only what names tell is found.
pub fn lint_within(policies: &[Policy], budget: &Budget) -> Vec<Diagnostic> {
    let mut found = policy::lint(policies);
    let gone = told(&found);
    let spare = spare::check(policies, budget);
    let surplus = surplus::check(policies, &gone, budget);
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
