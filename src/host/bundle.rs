//! A bundle written to a folder of the user's choice, whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use tempfile::TempDir;

use super::HostError;
use super::error::io_error;
use super::files;
use crate::artifact::{MANIFEST, MODULES, ROUTES};

/// Writes the files of a bundle to the folder `path`. What is there already must be a bundle, or
/// empty: it is replaced in one step.
///
/// Errors: `path` is something else, and stays as it is; or the disk refuses.
pub fn write_bundle(path: &Path, bundle: &BTreeMap<String, String>) -> Result<(), HostError> {
    let there = replaceable(path, bundle)?;
    let parent = files::parent(path);
    files::make_folder(parent)?;
    // A folder of its own beside the target: what is left in it goes away, however this ends.
    let beside =
        TempDir::with_prefix_in(".tidegate-", parent).map_err(io_error("write", parent))?;
    let staged = beside.path().join("bundle");
    files::write_folder(&staged, bundle)?;
    if !there {
        return files::rename(&staged, path);
    }
    let flags = RenameFlags::RENAME_EXCHANGE;
    renameat2(AT_FDCWD, &staged, AT_FDCWD, path, flags)
        .map_err(|error| io_error("replace", path)(error.into()))
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
    let known =
        |name: &String| bundle.contains_key(name) || [MODULES, ROUTES].contains(&name.as_str());
    let is_bundle = names.iter().any(|name| name == MANIFEST) && names.iter().all(known);
    if names.is_empty() || is_bundle {
        Ok(true)
    } else {
        Err(strange(
            "a folder with other files in it, which would be lost",
        ))
    }
}
