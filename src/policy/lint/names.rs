//! Who is named where.

use std::collections::HashSet;

use crate::policy::ir::{Access, Party, Policy};

/// Returns everybody that a statement or an exposure names.
pub(super) fn named(policy: &Policy) -> HashSet<Party> {
    let accesses = policy.accesses.iter();
    let sides = accesses.flat_map(|access| access.left.iter().chain(&access.right));
    let exposures = policy.containers.iter().flat_map(|it| &it.exposures);
    let offered = exposures.flat_map(|exposure| &exposure.from);
    let expected = policy.expectations.iter();
    let expected = expected.flat_map(|expect| [expect.left, expect.right]);
    sides.chain(offered).copied().chain(expected).collect()
}

/// Returns the statements as they were written: a link is one, however many it names on its right.
pub(super) fn statements(policy: &Policy) -> impl Iterator<Item = &[Access]> {
    policy.accesses.chunk_by(|a, b| a.span == b.span)
}
