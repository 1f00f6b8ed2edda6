//! The files of a policy, from a folder.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::error::{io_error, reason, shown};
use super::{HostError, Trust, files};
use crate::diag::hidden::is_hidden;
use crate::policy::{LoadError, Loader};

/// The largest file of a policy, in bytes.
pub const POLICY_FILE: u64 = 1 << 20;
const TRUST_FILE: u64 = 16 << 20;

/// Reads policy files and lists of addresses from one folder and the folders within it.
#[derive(Debug, Clone)]
pub struct FolderLoader {
    folder: PathBuf,
    trust: Trust,
}

impl FolderLoader {
    /// Returns the loader of the folder a policy is in, and the policy's name in it.
    ///
    /// Errors: the folder cannot be found, or the path ends in no name, or in one with letters that do
    /// not show: it is part of messages and of the bundle.
    pub fn of_policy(policy: &Path, trust: Trust) -> Result<(Self, String), HostError> {
        let no_name = || HostError::Name(shown(policy));
        let name = policy
            .file_name()
            .and_then(OsStr::to_str)
            .filter(|name| !name.contains(is_hidden))
            .ok_or_else(no_name)?;
        let folder = files::parent(policy);
        let folder = folder.canonicalize().map_err(io_error("find", folder))?;
        Ok((FolderLoader { folder, trust }, name.to_owned()))
    }

    /// Returns where the file really is; a link may lead to another file of the folder, never out.
    fn find(&self, name: &str) -> Result<PathBuf, LoadError> {
        let normal = |part| matches!(part, Component::Normal(_));
        if name.is_empty() || !Path::new(name).components().all(normal) {
            return Err(LoadError::Other(
                "it is outside of the policy's folder".to_owned(),
            ));
        }
        let path = self.folder.join(name);
        if self.trust == Trust::Root && path.is_symlink() {
            return Err(LoadError::Unsafe("it is a symbolic link".to_owned()));
        }
        let found = path.canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => LoadError::Missing,
            _ => LoadError::Other(reason(&error)),
        })?;
        if found.starts_with(&self.folder) {
            Ok(found)
        } else {
            Err(LoadError::Other(
                "a link leads out of the policy's folder".to_owned(),
            ))
        }
    }
}

impl Loader for FolderLoader {
    fn load(&self, name: &str) -> Result<String, LoadError> {
        let path = self.find(name)?;
        let text = files::read(&path, limit(name), self.trust).map_err(load_error)?;
        text.ok_or(LoadError::Missing)
    }
}

fn limit(name: &str) -> u64 {
    let policy = Path::new(name).extension() == Some(OsStr::new("tide"));
    if policy { POLICY_FILE } else { TRUST_FILE }
}

fn load_error(error: HostError) -> LoadError {
    match error {
        HostError::NotText(_) => LoadError::NotText,
        HostError::TooLarge { limit, .. } => LoadError::TooLarge { limit },
        HostError::Unsafe { .. } => LoadError::Unsafe(error.to_string()),
        other => LoadError::Other(other.to_string()),
    }
}

/// Reads every file once: what somebody does to it later changes nothing.
#[derive(Debug)]
pub struct KeptLoader {
    folder: FolderLoader,
    kept: RefCell<BTreeMap<String, Result<String, LoadError>>>,
}

impl KeptLoader {
    pub fn new(folder: FolderLoader) -> Self {
        KeptLoader {
            folder,
            kept: RefCell::default(),
        }
    }
}

impl Loader for KeptLoader {
    fn load(&self, name: &str) -> Result<String, LoadError> {
        let mut kept = self.kept.borrow_mut();
        let text = kept.entry(name.to_owned());
        text.or_insert_with(|| self.folder.load(name)).clone()
    }
}
