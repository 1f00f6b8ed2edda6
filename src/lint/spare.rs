//! Somebody in a list of sources whom others in it hold already.

use crate::diag::{Diagnostic, code};
use crate::diagram::Budget;
use crate::meaning::{Spare, TooMany, spare_sources};
use crate::policy::ir::Policy;

pub(super) fn check(policies: &[Policy], budget: &Budget) -> Result<Vec<Diagnostic>, TooMany> {
    let Some(policy) = policies.first() else {
        return Ok(Vec::new());
    };
    let found = spare_sources(policies, budget)?;
    Ok(found.iter().map(|it| spare(policy, it)).collect())
}

fn spare(policy: &Policy, found: &Spare) -> Diagnostic {
    let name = policy.name(found.party);
    let (title, label) = match found.within.map(|it| policy.name(it)) {
        Some(other) => (
            format!("`{name}` adds nothing to `{other}`"),
            format!("whoever is `{name}` is `{other}`, too"),
        ),
        None => (
            format!("`{name}` adds nothing to the others in its list"),
            format!("whoever is `{name}` is one of them, too"),
        ),
    };
    Diagnostic::warning(code::SPARE_SOURCE, title)
        .at(found.span, label)
        .help("take it out if the others are meant, else them")
}
