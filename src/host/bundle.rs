//! A bundle written to a folder of the user's choice, whole or not at all.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where a bundle is put where the user wants it"
)]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, Flock, FlockArg, OFlag, RenameFlags, renameat2};
use tempfile::TempDir;

use super::HostError;
use super::error::io_error;
use super::files;
use crate::artifact::{BRIDGE, MANIFEST, MODULES, ROUTES};

/// How the folders begin in which bundles are written.
const PREFIX: &str = ".tidegate-compile-";

/// Writes the files of a bundle to the folder `path`. What is there already must be a bundle, or
/// empty: it is replaced in one step.
///
/// Errors: `path` is something else, and stays as it is; or the disk refuses.
pub fn write_bundle(path: &Path, bundle: &BTreeMap<String, String>) -> Result<(), HostError> {
    let there = replaceable(path, bundle)?;
    let parent = files::parent(path);
    files::make_folder(parent)?;
    // A folder of its own beside the target: what is left in it goes away, however this ends.
    clear(parent);
    let beside = TempDir::with_prefix_in(PREFIX, parent).map_err(io_error("write", parent))?;
    let _held = hold(beside.path());
    let staged = beside.path().join("bundle");
    files::write_folder(&staged, bundle)?;
    if !there {
        return files::rename(&staged, path);
    }
    let flags = RenameFlags::RENAME_EXCHANGE;
    renameat2(AT_FDCWD, &staged, AT_FDCWD, path, flags)
        .map_err(|error| io_error("replace", path)(error.into()))
}

/// Removes the folders of compilers that were killed: those that nobody holds any more.
fn clear(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let left = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for folder in left.map(|entry| entry.path()) {
        if hold(&folder).is_some() {
            // Where it cannot go, it is in nobody's way.
            let _ = files::remove_folder(&folder);
        }
    }
}

/// Holds a folder, flock(2), unless somebody else does.
fn hold(folder: &Path) -> Option<Flock<File>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY).bits())
        .open(folder);
    Flock::lock(file.ok()?, FlockArg::LockExclusiveNonblock).ok()
}

/// Returns whether something is at `path` that may be replaced.
fn replaceable(path: &Path, bundle: &BTreeMap<String, String>) -> Result<bool, HostError> {
    let strange = |why| HostError::Occupied {
        path: path.to_owned(),
        why,
    };
    let Ok(kind) = fs::symlink_metadata(path) else {
        return Ok(false);
    };
    if !kind.is_dir() {
        return Err(strange("there and is no folder"));
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(io_error("list", path))? {
        let entry = entry.map_err(io_error("list", path))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    let known = |name: &String| {
        bundle.contains_key(name) || [BRIDGE, MODULES, ROUTES].contains(&name.as_str())
    };
    let is_bundle = names.iter().any(|name| name == MANIFEST) && names.iter().all(known);
    if names.is_empty() || is_bundle {
        Ok(true)
    } else {
        Err(strange(
            "a folder with other files in it, which would be lost",
        ))
    }
}
