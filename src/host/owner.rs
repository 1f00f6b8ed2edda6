//! Who may write a file: what root puts in force, nobody else may have a hand in.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::HostError;
use super::error::io_error;

/// Whose files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    Anybody,
    /// Files that root alone may write, in folders that root alone may write, and no links.
    Root,
}

/// Who may use a file, as stat(2) tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    pub mode: u32,
    /// The group's number.
    pub gid: u32,
}

impl Access {
    /// Returns the access to what a path leads to, or nothing if there is no such thing.
    pub(super) fn of(path: &Path) -> Result<Option<Access>, HostError> {
        match path.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            looked => looked
                .map(|it| {
                    Some(Access {
                        mode: it.mode(),
                        gid: it.gid(),
                    })
                })
                .map_err(io_error("look at", path)),
        }
    }
}

const OTHERS_MAY_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

impl Trust {
    /// Checks a file or folder by what its open descriptor says of it.
    ///
    /// An access list that lets others write shows among the bits of the group: there is its mask,
    /// acl(5).
    pub(super) fn check(self, path: &Path, metadata: &Metadata) -> Result<(), HostError> {
        if self == Trust::Anybody {
            return Ok(());
        }
        let unfit = |why| {
            let path = path.to_owned();
            Err(HostError::Unsafe { path, why })
        };
        if metadata.is_symlink() {
            return unfit("is a symbolic link");
        }
        if metadata.uid() != 0 {
            return unfit("does not belong to root");
        }
        if metadata.mode() & OTHERS_MAY_WRITE != 0 {
            return unfit("may be written by others than root");
        }
        Ok(())
    }

    /// Returns whether only root may rename what is root's in a folder that others may write, as in
    /// /tmp; inode(7).
    pub(super) fn is_sticky(folder: &Metadata) -> bool {
        folder.uid() == 0 && folder.mode() & STICKY != 0
    }
}
