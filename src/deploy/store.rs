//! Where bundles and settings are kept on a machine, and how they get there.
//!
//! A bundle is written to `staged`; then `current` becomes `previous` and `staged` becomes
//! `current`. Killed between the two, only `current` is missing: [`heal`] ends it. Which copy is put in
//! force where one is damaged says [`super::intact`].

use super::closed;
use super::error::Problem;
use super::history;
use crate::artifact::{Bundle, MODULES, SYSCTL};
use crate::host::{Host, HostError};

/// What is loaded at the next boot instead of `current`, whose addresses are of this one.
pub const BOOT: &str = "/var/lib/tidegate/boot";
/// There from the first bundle of this boot with addresses of the moment.
pub(super) const FOLLOWED: &str = "/run/tidegate/followed";
pub const CURRENT: &str = "/var/lib/tidegate/current";
/// Its time of writing is when the current bundle came in force.
pub const MANIFEST: &str = "/var/lib/tidegate/current/manifest.json";
pub const MODULES_LOAD: &str = "/etc/modules-load.d/tidegate.conf";
pub const PREVIOUS: &str = "/var/lib/tidegate/previous";
/// What the last rehearsal was of, and on what.
pub const REHEARSED: &str = "/var/lib/tidegate/rehearsed";
pub const STATE: &str = "/var/lib/tidegate";
pub const SYSCTL_D: &str = "/etc/sysctl.d/90-tidegate.conf";
const STAGED: &str = "/var/lib/tidegate/staged";

/// Ends a change of bundles that was cut short, and clears away what was only begun.
pub fn heal(host: &dyn Host) -> Result<(), HostError> {
    if !host.exists(CURRENT) && host.exists(PREVIOUS) && is_intact(host, STAGED) {
        // `previous` is there without `current` only between the two renames, when `staged` was
        // already in force. Where a disk lost `current`, that is told, and no other takes its place.
        host.rename(STAGED, CURRENT)?;
    }
    host.remove_folder(STAGED)
}

fn is_intact(host: &dyn Host, folder: &str) -> bool {
    let files = host.read_folder(folder).ok().flatten();
    files.is_some_and(|files| Bundle::read(files).is_ok())
}

/// Returns the bundle that is installed, its hashes checked; nothing if there is none.
pub fn installed(host: &dyn Host) -> Result<Option<Bundle>, Problem> {
    match host.read_folder(CURRENT)? {
        None => Ok(None),
        Some(files) => Ok(Some(Bundle::read(files)?)),
    }
}

/// Keeps the bundle for the next boot, and says that what is current is for this one alone.
pub fn keep_for_boot(host: &dyn Host, bundle: &Bundle) -> Result<(), HostError> {
    if !host.holds(BOOT, bundle.files())? {
        host.write_folder(BOOT, bundle.files())?;
        // A second copy, should the first be damaged: the current one is not for another boot.
        history::remember(host, bundle, host.time_of_day())?;
    }
    if !host.exists(FOLLOWED) {
        host.write(FOLLOWED, "")?;
    }
    Ok(())
}

/// Says that what is current is for the next boot, too.
pub fn keep_current(host: &dyn Host) -> Result<(), HostError> {
    host.remove_folder(BOOT)?;
    host.remove(FOLLOWED)
}

/// Returns whether what is current is for this boot alone.
pub fn is_followed(host: &dyn Host) -> bool {
    host.exists(FOLLOWED) && host.exists(BOOT)
}

/// What is installed, beside a bundle that is to be put in force.
#[derive(Debug)]
pub enum Installed {
    Same,
    Other(Box<Bundle>),
    /// Nothing, or what cannot be trusted any more and is replaced like what is out of date.
    Nothing,
}

impl Installed {
    pub fn beside(host: &dyn Host, bundle: &Bundle) -> Self {
        if is_installed(host, bundle).unwrap_or(false) {
            return Installed::Same;
        }
        match host.read_folder(CURRENT).ok().flatten() {
            Some(files) => {
                let other = Bundle::read(files).map(Box::new);
                other.map_or(Installed::Nothing, Installed::Other)
            }
            None => Installed::Nothing,
        }
    }

    /// Returns the other one that is installed.
    pub fn beside_it(&self) -> Option<&Bundle> {
        match self {
            Installed::Other(bundle) => Some(bundle),
            Installed::Same | Installed::Nothing => None,
        }
    }

    pub fn other(self) -> Option<Box<Bundle>> {
        match self {
            Installed::Other(bundle) => Some(bundle),
            Installed::Same | Installed::Nothing => None,
        }
    }
}

/// Returns whether the installed files are the bundle's, byte for byte.
pub fn is_installed(host: &dyn Host, bundle: &Bundle) -> Result<bool, HostError> {
    host.holds(CURRENT, bundle.files())
}

/// Writes the bundle beside the current one, where it changes nothing yet.
pub fn stage(host: &dyn Host, bundle: &Bundle) -> Result<(), HostError> {
    host.write_folder(STAGED, bundle.files())
}

/// Makes the staged bundle the current one.
pub fn publish(host: &dyn Host) -> Result<(), HostError> {
    if host.exists(CURRENT) {
        host.remove_folder(PREVIOUS)?;
        host.rename(CURRENT, PREVIOUS)?;
    }
    host.rename(STAGED, CURRENT)
}

/// Removes what was written beside the current bundle.
pub fn unstage(host: &dyn Host) -> Result<(), HostError> {
    host.remove_folder(STAGED)
}

/// Ends a change of bundles that failed after [`stage`], so that the one before is the current one.
pub fn withdraw(host: &dyn Host) -> Result<(), HostError> {
    // It was published, and what failed came behind that: the disk's word for it, if nothing else.
    if host.exists(CURRENT) && !host.exists(STAGED) {
        host.rename(CURRENT, STAGED)?;
    }
    if !host.exists(CURRENT) && host.exists(PREVIOUS) {
        host.rename(PREVIOUS, CURRENT)?;
    }
    host.remove_folder(STAGED)
}

/// A file outside of the bundle's folder, and its text; none where it must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    pub path: &'static str,
    pub text: Option<String>,
}

impl Fragment {
    /// Returns the files that a bundle puts under /etc.
    pub fn of_bundle(bundle: &Bundle) -> [Fragment; 3] {
        let copy = |path, name| Fragment {
            path,
            text: bundle.files().get(name).cloned(),
        };
        let names = Fragment {
            path: closed::NAMES,
            text: Some(closed::names(bundle)),
        };
        [copy(SYSCTL_D, SYSCTL), copy(MODULES_LOAD, MODULES), names]
    }

    /// Returns the same file as it is on the machine.
    pub fn found(&self, host: &dyn Host) -> Result<Fragment, HostError> {
        let text = host.read(self.path)?;
        Ok(Fragment {
            path: self.path,
            text,
        })
    }

    /// Writes or removes the file, if it is not so already: going back must not need a disk that has
    /// just been found full.
    pub fn put(&self, host: &dyn Host) -> Result<(), HostError> {
        if self.found(host).is_ok_and(|found| found == *self) {
            return Ok(());
        }
        match &self.text {
            Some(text) => host.write(self.path, text),
            None => host.remove(self.path),
        }
    }
}
