//! Closes a machine at boot whose bundle cannot be read as a whole.

use super::converge::{converge_each, families};
use super::error::{ApplyError, Problem};
use super::state::TideState;
use super::store;
use crate::host::Host;

/// Loads the rules of the installed bundle without its manifest, which may be damaged or that of
/// another version of tidegate: an engine is about to open ports, and no rules close less than these.
///
/// Settings and modules were left to systemd, routes are missing. `problem` is why; it is returned
/// with what stands now.
pub(super) fn rules_alone(host: &dyn Host, problem: Problem) -> ApplyError {
    let mut any = false;
    for (family, text) in store::rules_for_boot(host) {
        if let (true, Ok(wanted)) = (
            families(host).contains(&family),
            TideState::of_rules(&text, family),
        ) {
            any = true;
            // Whatever fails here, the bundle is the reason to tell.
            let _ = converge_each(host, family, &wanted);
        }
    }
    if any {
        ApplyError::Partial(problem)
    } else {
        ApplyError::Refused(problem)
    }
}
