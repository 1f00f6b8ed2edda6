//! Closes a machine at boot whose bundle cannot be read as a whole.

use super::converge::{converge_each, families, live};
use super::error::{ApplyError, Problem};
use super::state::{TideState, is_tide};
use super::store;
use crate::host::Host;
use crate::netfilter::{Family, Table};

/// Loads the rules of the installed bundle without its manifest, which may be damaged or that of
/// another version of tidegate: an engine is about to open ports, and no rules close less than these.
///
/// Where rules of ours are in force, they were those of a whole bundle, and stay. Settings and modules
/// were left to systemd, routes are missing. `problem` is why; it is returned with what stands now.
pub(super) fn rules_alone(host: &dyn Host, problem: Problem) -> ApplyError {
    let mut any = false;
    for (family, text) in store::rules_for_boot(host) {
        if let (true, Ok(wanted)) = (is_bare(host, family), TideState::of_rules(&text, family)) {
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

/// Returns whether the kernel has the family, and no chain of ours in it.
fn is_bare(host: &dyn Host, family: Family) -> bool {
    let Ok(tables) = live(host, family) else {
        return false;
    };
    let tables = Table::ALL
        .into_iter()
        .filter_map(|table| tables.table(table));
    let mut chains = tables.flat_map(|table| table.chains.keys());
    families(host).contains(&family) && !chains.any(|chain| is_tide(chain))
}
