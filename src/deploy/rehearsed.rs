//! What was rehearsed already: a bundle whose rules came back as they were written does so again on the
//! same kernel, with the same iptables.

use super::store;
use crate::artifact::Bundle;
use crate::host::Host;

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

/// Returns whether the bundle was rehearsed last, and where it would come out the same.
pub(super) fn is_rehearsed(host: &dyn Host, bundle: &Bundle) -> bool {
    let found = host.read(store::REHEARSED).ok().flatten();
    found.is_some() && found == stamp(host, bundle)
}

/// Remembers that the bundle was rehearsed; a disk that does not keep it costs one more rehearsal.
pub(super) fn remember(host: &dyn Host, bundle: &Bundle) {
    if let Some(stamp) = stamp(host, bundle) {
        let _ = host.write(store::REHEARSED, &stamp);
    }
}
