//! What was rehearsed already: a bundle whose rules came back as they were written does so again on the
//! same kernel, with the same iptables.

use super::error::Problem;
use super::rehearse;
use super::state::TideState;
use super::store;
use crate::artifact::Bundle;
use crate::host::Host;
use crate::netfilter::Family;

/// In the kernel's sysctl/kernel: its release, as `uname -r` prints it.
const KERNEL: &str = "kernel/osrelease";

/// All that a rehearsal's outcome depends on, in lines.
///
/// Nothing where one of them is not known: then there is no rehearsal to rely on.
fn stamp(host: &dyn Host, bundle: &Bundle) -> Option<String> {
    let kernel = host.sysctl(KERNEL).ok().flatten()?;
    // It names the variant as well, as in `iptables v1.8.9 (nf_tables)`.
    let iptables = host.iptables_version().ok()?;
    let families = super::converge::families(host);
    let families: Vec<String> = families.iter().map(ToString::to_string).collect();
    let lines = [
        format!("tidegate {}", env!("CARGO_PKG_VERSION")),
        format!("kernel {}", kernel.trim()),
        iptables.trim().to_owned(),
        families.join(" and "),
        format!("bundle {}", bundle.version()),
    ];
    Some(lines.join("\n") + "\n")
}

/// Loads a bundle's rules in a namespace of their own, unless that was the last thing rehearsed here.
pub(super) fn rehearse<'w>(
    host: &dyn Host,
    bundle: &Bundle,
    wanted: impl Iterator<Item = (Family, &'w TideState)>,
) -> Result<(), Problem> {
    if is_rehearsed(host, bundle) {
        return Ok(());
    }
    for (family, wanted) in wanted {
        rehearse::rehearse(host, family, wanted)?;
    }
    remember(host, bundle);
    Ok(())
}

/// Returns whether the bundle was rehearsed last, and where it would come out the same.
fn is_rehearsed(host: &dyn Host, bundle: &Bundle) -> bool {
    let found = host.read(store::REHEARSED).ok().flatten();
    found.is_some() && found == stamp(host, bundle)
}

/// Remembers that the bundle was rehearsed; a disk that does not keep it costs one more rehearsal.
fn remember(host: &dyn Host, bundle: &Bundle) {
    if let Some(stamp) = stamp(host, bundle) {
        let _ = host.write(store::REHEARSED, &stamp);
    }
}
