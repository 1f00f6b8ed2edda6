//! Closes a machine at boot whose bundle cannot be read as a whole.

use super::blind;
use super::converge::{families, live, load_each};
use super::error::{ApplyError, Problem};
use super::plan::transaction;
use super::state::{TideState, is_tide};
use super::store;
use crate::host::Host;
use crate::netfilter::save::Tables;
use crate::netfilter::{Family, Table};

/// Loads the rules of the installed bundle without its manifest, which may be damaged or that of
/// another version of tidegate: an engine is about to open ports, and no rules close less than these.
///
/// Where rules of ours are in force, they were those of a whole bundle, and stay. Settings and modules
/// were left to systemd, routes are missing. `problem` is why; it is returned with what stands now.
pub(super) fn rules_alone(host: &dyn Host, problem: Problem) -> ApplyError {
    let mut any = false;
    for (family, text) in store::rules_for_boot(host) {
        if let (Some(now), Ok(wanted)) = (bare(host, family), TideState::of_rules(&text, family)) {
            any = true;
            // Whatever fails here, the bundle is the reason to tell.
            for table in now.unread().keys() {
                let _ = blind::load(host, family, *table, &wanted);
            }
            if let Some(text) = transaction(&now, &wanted) {
                let _ = load_each(host, family, &wanted, &text);
            }
        }
    }
    if any {
        ApplyError::Partial(problem)
    } else {
        ApplyError::Refused(problem)
    }
}

/// Returns the rules of a family that the kernel has, if no chain of ours is in them.
fn bare(host: &dyn Host, family: Family) -> Option<Tables> {
    let tables = live(host, family).ok()?;
    let texts = Table::ALL
        .into_iter()
        .filter_map(|table| tables.table(table));
    let mut chains = texts.flat_map(|table| table.chains.keys());
    let is_bare = families(host).contains(&family) && !chains.any(|chain| is_tide(chain));
    is_bare.then_some(tables)
}
