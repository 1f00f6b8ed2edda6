//! FORWARD's policy from one bundle to the next.

use super::state::{StateError, TideState};
use crate::artifact::{Bundle, Manifest};
use crate::netfilter::save::ChainPolicy;
use crate::netfilter::{Family, Table};

/// Returns what a bundle wants of one family in the place of another. Where that one has closed
/// FORWARD, and the engine's rules are in nftables by now, FORWARD accepts again: an ACCEPT in one
/// base chain of a hook saves nothing from another's DROP.
pub(super) fn wanted(
    bundle: &Bundle,
    replaced: Option<&Bundle>,
    family: Family,
) -> Result<TideState, StateError> {
    let wanted = TideState::of_bundle(bundle, family)?;
    if !is_beside_nftables(bundle.manifest()) {
        return Ok(wanted);
    }
    let closed = replaced.map(|old| TideState::of_bundle(old, family));
    // One that cannot be read says nothing of what it did.
    let closed = closed.and_then(Result::ok);
    if closed.as_ref().and_then(forward) == Some(ChainPolicy::Drop) {
        return Ok(wanted.with_forward(ChainPolicy::Accept));
    }
    Ok(wanted)
}

/// Returns what has to be said of FORWARD's policy where the engine's rules are in nftables.
pub(super) fn note(
    bundle: &Bundle,
    family: Family,
    (wanted, before): (&TideState, &TideState),
) -> Option<String> {
    let closed = forward(before) == Some(ChainPolicy::Drop);
    if !closed || !is_beside_nftables(bundle.manifest()) {
        return None;
    }
    Some(match forward(wanted) {
        Some(_) => format!(
            "{family}: the policy of FORWARD becomes ACCEPT again, since the bundle before had set \
             DROP, which ends what Docker's nftables tables let pass"
        ),
        None => format!(
            "{family}: the policy of FORWARD is DROP, which ends what Docker's nftables tables let \
             pass; another program has set it: `iptables -P FORWARD ACCEPT` opens it"
        ),
    })
}

/// Returns true where the engine that a bundle is for writes its rules with nftables.
pub fn is_beside_nftables(manifest: &Manifest) -> bool {
    manifest.engine.split(' ').any(|word| word == "nftables")
}

fn forward(state: &TideState) -> Option<ChainPolicy> {
    state.table(Table::Filter)?.forward
}
