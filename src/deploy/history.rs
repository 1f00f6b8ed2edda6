//! The last bundles that were put in force, to go back to.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::store;
use crate::artifact::{Bundle, MANIFEST};
use crate::host::{Host, HostError};

/// How many different bundles are kept.
pub const KEPT: usize = 10;
const FOLDER: &str = "/var/lib/tidegate/history";
/// The order; a folder that it does not name is what a kill has left.
const LIST: &str = "/var/lib/tidegate/history/list.json";
const NEW: &str = "/var/lib/tidegate/history/.new";

/// One bundle that was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    pub version: String,
    pub policy: String,
    /// When it was last put in force, in seconds since 1970, UTC; by the clock of that day.
    pub since: u64,
}

fn folder(version: &str) -> String {
    format!("{FOLDER}/{version}")
}

/// Returns the bundles that are kept, the newest first.
pub(super) fn list(host: &dyn Host) -> Vec<Past> {
    // A list that is damaged is begun anew: bundles in force are kept elsewhere as well.
    let text = host.read(LIST).ok().flatten().unwrap_or_default();
    let all: Vec<Past> = serde_json::from_str(&text).unwrap_or_default();
    let is_there = |past: &Past| is_version(&past.version) && host.exists(&folder(&past.version));
    all.into_iter().filter(is_there).collect()
}

/// Returns the folders of all bundles that are kept, the newest first; behind those that the list names,
/// what it has lost, by the time of writing.
pub(super) fn folders(host: &dyn Host) -> Result<Vec<String>, HostError> {
    let listed: Vec<String> = list(host).into_iter().map(|past| past.version).collect();
    let mut lost = Vec::new();
    for name in host.names(FOLDER)? {
        if is_version(&name) && !listed.contains(&name) {
            let written = host.modified(&format!("{}/{MANIFEST}", folder(&name)))?;
            lost.push((Reverse(written), name));
        }
    }
    lost.sort();
    let lost = lost.into_iter().map(|(_, name)| name);
    Ok(listed
        .into_iter()
        .chain(lost)
        .map(|it| folder(&it))
        .collect())
}

/// Returns the version that a folder of the history is named after; nothing for another folder.
pub(super) fn version_of(path: &str) -> Option<&str> {
    path.strip_prefix(FOLDER)?.strip_prefix('/')
}

/// The list is a file: what it says becomes a part of a path.
fn is_version(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Keeps a bundle as the newest, and no more than [`KEPT`].
///
/// The bundle is there before the list names it, and gone after the list has dropped it.
pub(super) fn remember(host: &dyn Host, bundle: &Bundle, since: u64) -> Result<(), HostError> {
    let version = bundle.version();
    if host.read_folder(&folder(version)).ok().flatten().as_ref() != Some(bundle.files()) {
        host.write_folder(NEW, bundle.files())?;
        host.remove_folder(&folder(version))?;
        host.rename(NEW, &folder(version))?;
    }
    let mut all = list(host);
    all.retain(|past| past.version != version);
    all.insert(
        0,
        Past {
            version: version.to_owned(),
            policy: bundle.manifest().policy.clone(),
            since,
        },
    );
    all.truncate(KEPT);
    let text = serde_json::to_string_pretty(&all).unwrap_or_default();
    host.write(LIST, &(text + "\n"))?;
    for name in host.names(FOLDER)? {
        let is_kept = all.iter().any(|past| past.version == name);
        if !is_kept && !LIST.ends_with(&name) {
            host.remove_folder(&format!("{FOLDER}/{name}"))?;
        }
    }
    Ok(())
}

/// Returns the bundle before the current one, or the one whose version begins with some digits.
pub(super) fn find(host: &dyn Host, version: Option<&str>) -> Result<Bundle, Problem> {
    let Some(digits) = version else {
        let files = host.read_folder(store::PREVIOUS)?;
        let files = files
            .ok_or_else(|| Problem::NothingBefore("no bundle was in force before".to_owned()))?;
        return Ok(Bundle::read(files)?);
    };
    let all = list(host);
    let wanted = digits.to_ascii_lowercase();
    let fits: Vec<&Past> = all
        .iter()
        .filter(|past| past.version.starts_with(&wanted))
        .collect();
    match fits.as_slice() {
        [one] if !wanted.is_empty() => {
            let files = host.read_folder(&folder(&one.version))?.unwrap_or_default();
            Ok(Bundle::read(files)?)
        }
        [] => Err(Problem::NothingBefore(format!(
            "no version that is kept begins with `{digits}`"
        ))),
        many => Err(Problem::NothingBefore(format!(
            "{} versions begin with `{digits}`",
            many.len()
        ))),
    }
}
