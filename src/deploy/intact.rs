//! The newest bundle of this machine whose files are as they were compiled.
//!
//! Several copies lie in the store: what boot loads, the current one, those of the history, the previous
//! one. One that was cut, edited or lost is passed over, and told.

use super::error::Problem;
use super::history;
use super::state::TideState;
use super::store::{BOOT, CURRENT, FOLLOWED, PREVIOUS};
use crate::artifact::{self, Bundle, BundleError, MANIFEST, MODULES, SYSCTL, SysctlEntry};
use crate::host::{Host, HostError};
use crate::netfilter::Family;

/// A bundle to put in force.
#[derive(Debug)]
pub(super) struct Intact {
    pub(super) copy: Copy,
    /// Why it is not the copy that should be put in force; nothing where it is.
    pub(super) instead: Option<Problem>,
}

#[derive(Debug)]
pub(super) enum Copy {
    Whole(Box<Bundle>),
    /// Of another tidegate, whose manifest this one cannot use: each family's rules, their hashes checked.
    Rules(BundleError, [(Family, String); 2]),
}

/// Returns the newest intact bundle that was in force, or that boot was to begin with.
///
/// Errors: there is none, with the reason of the newest.
pub(super) fn newest(host: &dyn Host) -> Result<Intact, Problem> {
    let mut instead = None;
    for folder in candidates(host)? {
        match read(host, &folder) {
            Ok(copy) => return Ok(Intact { copy, instead }),
            Err(problem) if is_damage(&problem) => drop(instead.get_or_insert(problem)),
            Err(problem) => return Err(problem),
        }
    }
    match instead {
        // Nothing was ever installed, or all is gone: what is there would say which.
        None | Some(Problem::NotInstalled) => Err(Problem::NotInstalled),
        Some(problem) => Err(Problem::NothingIntact(Box::new(problem))),
    }
}

/// Returns the folders to look in, the newest first; the first is the one that should be intact.
///
/// Where a boot has a bundle of its own, the current one and the one before were compiled for addresses
/// that containers had once: in another boot they would open for whoever has them now.
fn candidates(host: &dyn Host) -> Result<Vec<String>, HostError> {
    let first: &[&str] = match (host.exists(BOOT), host.exists(FOLLOWED)) {
        (true, true) => &[CURRENT, BOOT],
        (true, false) => &[BOOT],
        (false, _) => &[CURRENT],
    };
    let last: &[&str] = if host.exists(BOOT) { &[] } else { &[PREVIOUS] };
    let past = history::folders(host)?;
    let own = |folders: &[&str]| {
        folders
            .iter()
            .map(|it| (*it).to_owned())
            .collect::<Vec<_>>()
    };
    Ok([own(first), past, own(last)].concat())
}

fn read(host: &dyn Host, folder: &str) -> Result<Copy, Problem> {
    let files = host.read_folder(folder)?.ok_or(Problem::NotInstalled)?;
    let copy = match Bundle::read(files.clone()) {
        Ok(bundle) => {
            check_name(folder, bundle.version())?;
            check_settings(&bundle)?;
            // What would not be loaded is not what was in force.
            for family in Family::BOTH {
                TideState::of_bundle(&bundle, family)?;
            }
            Copy::Whole(Box::new(bundle))
        }
        Err(error @ BundleError::Format(_)) => {
            let rules = artifact::rules_of_another_format(&files).ok_or(error.clone())?;
            Copy::Rules(error, rules.map(|(family, text)| (family, text.to_owned())))
        }
        Err(error) => return Err(error.into()),
    };
    Ok(copy)
}

/// A folder of the history is named after its version, which is the hash over all of it.
fn check_name(folder: &str, version: &str) -> Result<(), BundleError> {
    match history::version_of(folder) {
        Some(name) if name != version => Err(BundleError::Changed(MANIFEST.to_owned())),
        _ => Ok(()),
    }
}

/// A manifest has no hash over it but its version: that hooks are those of the rules is checked with them,
/// and that settings and modules are those of their files is checked here.
fn check_settings(bundle: &Bundle) -> Result<(), BundleError> {
    let manifest = bundle.manifest();
    let lines = |file| {
        bundle
            .file(file)
            .lines()
            .filter(|line| !line.starts_with('#'))
    };
    let setting = |entry: &SysctlEntry| format!("{} = {}", entry.key, entry.value);
    let settings = manifest.sysctls.iter().map(setting);
    let fits = settings.eq(lines(SYSCTL).filter(|line| !line.is_empty()))
        && manifest
            .modules
            .iter()
            .eq(lines(MODULES).filter(|line| !line.is_empty()));
    if fits {
        return Ok(());
    }
    Err(BundleError::Changed(MANIFEST.to_owned()))
}

/// Returns whether a copy is to be passed over; what keeps all copies from being read is not that.
pub(super) fn is_damage(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::Bundle(_)
            | Problem::NotInstalled
            | Problem::State(_)
            | Problem::Host(
                HostError::Io { .. }
                    | HostError::NotRegular(_)
                    | HostError::NotText(_)
                    | HostError::TooLarge { .. }
                    | HostError::Unsafe { .. }
            )
    )
}
