//! Files and folders: read with a limit, written whole or not at all.
#![expect(clippy::disallowed_methods, reason = "this is where files are touched")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::error::io_error;
use super::folder::Folder;
use super::{HostError, Trust};
use crate::netfilter::verbatim;

/// The largest file of a bundle that is read.
pub(super) const BUNDLE_FILE: u64 = 64 << 20;

/// The most files that a bundle's folder may hold; a bundle has half a dozen.
const BUNDLE_FILES: usize = 64;

/// What a path on the command line leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    Absent,
    Folder,
    Other,
}

pub fn kind(path: &Path) -> FileKind {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => FileKind::Absent,
        Ok(metadata) if metadata.is_dir() => FileKind::Folder,
        // What cannot be looked at says why when it is read.
        Ok(_) | Err(_) => FileKind::Other,
    }
}

/// Returns the folder that a file is in, whole and without links; nothing where there is none.
pub fn folder_of(path: &Path) -> Option<PathBuf> {
    parent(path).canonicalize().ok()
}

/// Reads a regular file of at most `limit` bytes, following no link at the end of the path; with
/// [`Trust::Root`], every folder above it is checked, too.
///
/// Returns nothing if there is no such file.
pub(super) fn read(path: &Path, limit: u64, trust: Trust) -> Result<Option<String>, HostError> {
    let Some((folder, name)) = place(path, trust)? else {
        return Ok(None);
    };
    folder.read(name, path, limit)
}

/// Returns the folder that a path is in, and its name there; nothing if there is no such folder.
fn place(path: &Path, trust: Trust) -> Result<Option<(Folder, &OsStr)>, HostError> {
    let folder = match parent(path).canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        folder => folder.map_err(io_error("look at", path))?,
    };
    let Some(name) = path.file_name() else {
        return Err(HostError::NotRegular(path.to_owned()));
    };
    Ok(Some((Folder::open(&folder, trust)?, name)))
}

/// Reads rules that iptables-save(8) printed, whatever bytes are in their comments; see
/// [`verbatim`].
pub fn read_rules(path: &Path, limit: u64) -> Result<String, HostError> {
    let missing = || io_error("find", path)(Errno::ENOENT.into());
    let (folder, name) = place(path, Trust::Anybody)?.ok_or_else(missing)?;
    let bytes = folder.read_bytes(name, path, limit)?.ok_or_else(missing)?;
    Ok(verbatim::text(&bytes))
}

/// Reads a file that the user names; that there is none is an error.
pub fn read_file(path: &Path, limit: u64, trust: Trust) -> Result<String, HostError> {
    let missing = || io_error("find", path)(Errno::ENOENT.into());
    read(path, limit, trust)?.ok_or_else(missing)
}

/// Reads somebody else's file wherever its path leads, as sysctl(8) would; one that leads to no
/// regular file, such as a link to /dev/null, says nothing.
pub(super) fn read_linked(path: &Path, limit: u64) -> Result<Option<String>, HostError> {
    let target = match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        target => target.map_err(io_error("look at", path))?,
    };
    if target.is_file() {
        read(&target, limit, Trust::Anybody)
    } else {
        Ok(None)
    }
}

/// Reads every file of a bundle's folder, by name; nothing if there is no such folder.
///
/// Errors: a folder within, a file that is too large or no text, and what `trust` refuses.
pub fn read_folder(
    path: &Path,
    trust: Trust,
) -> Result<Option<BTreeMap<String, String>>, HostError> {
    let folder = match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found.map_err(io_error("find", path))?,
    };
    let open = Folder::open(&folder, trust)?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&folder).map_err(io_error("list", path))? {
        let entry = entry.map_err(io_error("list", path))?;
        let (file, name) = (entry.path(), entry.file_name());
        let read = open.read(&name, &file, BUNDLE_FILE)?;
        let name = name.into_string();
        let name = name.map_err(|_| HostError::NotText(file))?;
        if files.len() == BUNDLE_FILES {
            let why = "is not a bundle: it holds too many files";
            return Err(HostError::Unsafe { path: folder, why });
        }
        if let Some(text) = read {
            files.insert(name, text);
        }
    }
    Ok(Some(files))
}

/// Returns whether a bundle's folder is there and holds these files, byte for byte, and nothing else.
///
/// Errors: a folder within, and what `trust` refuses.
pub(super) fn holds(
    path: &Path,
    files: &BTreeMap<String, String>,
    trust: Trust,
) -> Result<bool, HostError> {
    let folder = match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        found => found.map_err(io_error("find", path))?,
    };
    let open = Folder::open(&folder, trust)?;
    if !names(&folder)?.iter().eq(files.keys()) {
        return Ok(false);
    }
    for (name, text) in files {
        if !open.has_text(OsStr::new(name), &folder.join(name), text)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes a file so that, at any moment, the old text or the new one is there.
pub fn write(path: &Path, text: &str) -> Result<(), HostError> {
    replace(path, text.as_bytes(), 0o644)
}

/// Writes a file beside the one it replaces, then renames it.
///
/// The name beside it is always the same, so what a killed tidegate leaves is overwritten; what a
/// full disk has cut short goes away at once.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), HostError> {
    let beside = beside(path);
    let ended = write_new(&beside, bytes, mode).and_then(|()| rename(&beside, path));
    if ended.is_err() {
        // The first failure is the one to be told.
        let _ = remove(&beside);
    }
    ended
}

/// Writes a file that is there anew, and leaves its owner and mode as they are: at any moment the old
/// text or the new one is there.
pub fn rewrite(path: &Path, text: &str) -> Result<(), HostError> {
    let old = path.symlink_metadata().map_err(io_error("look at", path))?;
    let beside = beside(path);
    write_new(&beside, text.as_bytes(), 0o600)?;
    // The owner first: a change of that takes rights away.
    std::os::unix::fs::lchown(&beside, Some(old.uid()), Some(old.gid()))
        .and_then(|()| fs::set_permissions(&beside, old.permissions()))
        .map_err(|error| {
            // What is left of it is overwritten the next time.
            let _ = remove(&beside);
            io_error("keep the owner of", path)(error)
        })?;
    rename(&beside, path)
}

/// Returns the names of the policy files in a folder, sorted.
pub fn policies_in(folder: &Path) -> Result<Vec<String>, HostError> {
    let is_policy = |name: &String| Path::new(name).extension().is_some_and(|it| it == "tide");
    Ok(names(folder)?.into_iter().filter(is_policy).collect())
}

/// Returns the policy files in a folder and the folders within it, sorted; links are not followed.
pub fn policies_below(folder: &Path) -> Result<Vec<PathBuf>, HostError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in names(&folder)? {
            let path = folder.join(&name);
            let metadata = path
                .symlink_metadata()
                .map_err(io_error("look at", &path))?;
            // Folders of other programs, such as .git, hold no policies.
            if metadata.is_dir() && !name.starts_with('.') {
                folders.push(path);
            } else if metadata.is_file() && path.extension().is_some_and(|it| it == "tide") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tidegate-new"))
}

/// Writes a file that was not there, and returns when the disk has it.
pub(super) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), HostError> {
    remove(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(io_error("make", path))?;
    // The umask of whoever runs this is no part of the policy.
    file.set_permissions(Permissions::from_mode(mode))
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .map_err(io_error("write", path))
}

/// Returns when a file was written, in seconds since 1970, UTC; nothing where there is none.
pub(super) fn modified(path: &Path) -> Result<Option<u64>, HostError> {
    let time = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found.and_then(|found| found.modified()),
    };
    let time = time.map_err(io_error("look at", path))?;
    let since = time.duration_since(std::time::UNIX_EPOCH);
    Ok(since.ok().map(|since| since.as_secs()))
}

/// Returns the names of what is in a folder, sorted; none if there is no such folder.
pub(super) fn names(path: &Path) -> Result<Vec<String>, HostError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io_error("list", path))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(io_error("list", path))?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

pub(super) fn remove(path: &Path) -> Result<(), HostError> {
    absent_is_fine(fs::remove_file(path)).map_err(io_error("remove", path))
}

pub(super) fn remove_folder(path: &Path) -> Result<(), HostError> {
    absent_is_fine(fs::remove_dir_all(path)).map_err(io_error("remove", path))
}

pub(super) fn remove_empty_folder(path: &Path) -> Result<(), HostError> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        ended => absent_is_fine(ended).map_err(io_error("remove", path)),
    }
}

fn absent_is_fine(ended: std::io::Result<()>) -> std::io::Result<()> {
    match ended {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        ended => ended,
    }
}

/// Renames, and has the disk know it: a rename alone may be lost when the power goes.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), HostError> {
    fs::rename(from, to).map_err(io_error("rename", from))?;
    sync_folder(parent(to))
}

/// Returns the folder that a path is in: for a bare name that is the current one.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_folder(path: &Path) -> Result<(), HostError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(io_error("sync", path))
}

pub(super) fn make_folder(path: &Path) -> Result<(), HostError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(io_error("make", path))
}

/// Writes a folder anew, file by file, and returns when the disk has it.
pub(super) fn write_folder(path: &Path, files: &BTreeMap<String, String>) -> Result<(), HostError> {
    remove_folder(path)?;
    make_folder(path)?;
    for (name, text) in files {
        if name.contains('/') || matches!(name.as_str(), "" | "." | "..") {
            return Err(HostError::Name(name.clone()));
        }
        write_new(&path.join(name), text.as_bytes(), 0o644)?;
    }
    sync_folder(path)
}

pub(super) fn link(path: &Path, target: &str) -> Result<(), HostError> {
    let beside = beside(path);
    remove(&beside)?;
    std::os::unix::fs::symlink(target, &beside).map_err(io_error("link", path))?;
    rename(&beside, path)
}

/// Copies a program to `path`, unless it is there; one that runs from there goes on with its old text.
pub(super) fn copy_program(from: &Path, path: &Path) -> Result<(), HostError> {
    if from.canonicalize().ok() == path.canonicalize().ok() {
        return Ok(());
    }
    let bytes = fs::read(from).map_err(io_error("read", from))?;
    replace(path, &bytes, 0o755)
}
