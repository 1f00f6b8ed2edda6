//! Trust sets that nothing uses.

use crate::diag::{Diagnostic, code};
use crate::policy::ir::{Party, Policy, Trust, TrustId};

use super::names::named;

/// Warns of each set that no statement, no exposure and no other set names. A file that is included
/// may be shared by policies that use some of its sets each, so only the main one is looked at.
pub(super) fn check(policy: &Policy) -> Vec<Diagnostic> {
    let mut used = named(policy);
    let within = policy.trusts.iter().flat_map(|trust| &trust.within);
    used.extend(within.map(|id| Party::Trust(*id)));
    let sets = policy.trusts.iter().zip((0..).map(TrustId));
    sets.filter(|(trust, id)| trust.span.source.is_first() && !used.contains(&Party::Trust(*id)))
        .map(|(trust, _)| unused(trust))
        .collect()
}

fn unused(trust: &Trust) -> Diagnostic {
    let title = format!("nothing uses the trust set `{}`", trust.name);
    Diagnostic::warning(code::UNUSED_SET, title)
        .at(trust.span, "no statement and no other set names it")
        .help("name it where it was meant, or take it out")
}
