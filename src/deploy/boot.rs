//! What became of the rules at this boot.
//!
//! `apply --boot` says at its beginning that it has begun, and at its end what came of it, in a file that
//! is gone with the next boot; whatever puts a bundle in force in whole says so there as well. A boot of
//! which nothing is written did not get as far as that: its units tell.

use super::error::ApplyError;
use super::status::units;
use crate::host::{Host, HostError};

const RECORD: &str = "/run/tidegate/boot";
const WHOLE: &str = "in force\n";
const BEGUN: &str = "`tidegate apply --boot` did not come to its end\n";
/// What loads the rules at boot, without their ending.
const UNITS: [&str; 2] = ["tidegate-guard", "tidegate"];

/// Writes that rules are being loaded, until something else is written.
pub(super) fn begun(host: &dyn Host) {
    // Without a record the unit's own failure is told.
    let _ = host.write(RECORD, BEGUN);
}

/// Writes that the load has failed, and why.
pub(super) fn ended(host: &dyn Host, error: &ApplyError) {
    let _ = host.write(RECORD, &format!("{error}\n"));
}

/// Writes that a bundle is in force in whole. Where that cannot be written, a failure goes on to be told.
pub(super) fn whole(host: &dyn Host) {
    if host.read(RECORD).ok().flatten().as_deref() != Some(WHOLE) {
        let _ = host.write(RECORD, WHOLE);
    }
}

pub(super) fn forget(host: &dyn Host) -> Result<(), HostError> {
    host.remove(RECORD)
}

/// Returns why the boot did not load the rules in whole, in lines, if nothing has done so since.
///
/// Errors: nobody knows whether it did.
pub fn boot_failure(host: &dyn Host) -> Result<Option<String>, HostError> {
    if let Some(record) = host.read(RECORD)? {
        let failed = (record != WHOLE).then(|| record.trim_end().to_owned());
        return Ok(failed);
    }
    let failed = units(host)?.into_iter().flatten();
    let failed = failed.filter(|unit| unit.active == "failed");
    let names = UNITS.map(|name| format!("{name}.service"));
    let mut failed = failed.filter(|unit| names.contains(&unit.name));
    Ok(failed
        .next()
        .map(|unit| format!("{} failed: {}", unit.name, unit.result)))
}
