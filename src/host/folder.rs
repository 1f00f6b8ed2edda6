//! Folders opened step by step: what was looked at is what is read, whatever others rename meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

use super::error::io_error;
use super::{HostError, Trust};

/// An open folder, and the path that led there.
#[derive(Debug)]
pub(super) struct Folder {
    file: File,
    path: PathBuf,
    trust: Trust,
}

/// A descriptor to look at and to go on from; of a link it is the link itself, open(2).
const LOOK: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW);
/// A FIFO that somebody puts there meanwhile must not make us wait.
/// What is compared at once, in bytes.
const PIECE: usize = 64 << 10;
const READ: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK);

impl Folder {
    /// Opens a folder from `/` on, and checks every step.
    ///
    /// `path` must be as `std::fs::canonicalize` returns it: a link in it by now is an error. Above
    /// the folder, one like /tmp is fine: its sticky bit keeps others from renaming what is root's,
    /// inode(7).
    pub(super) fn open(path: &Path, trust: Trust) -> Result<Self, HostError> {
        let names = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        let names: Vec<&OsStr> = names.collect();
        let top = Path::new("/");
        let file = open_at(None, top.as_os_str(), LOOK).map_err(io_error("open", top))?;
        let mut folder = Folder {
            file,
            path: top.to_owned(),
            trust,
        };
        folder.check(names.is_empty())?;
        for (index, name) in names.iter().enumerate() {
            folder = folder.step(name)?;
            folder.check(index + 1 == names.len())?;
        }
        Ok(folder)
    }

    fn step(&self, name: &OsStr) -> Result<Self, HostError> {
        let path = self.path.join(name);
        let file = open_at(Some(&self.file), name, LOOK).map_err(io_error("open", &path))?;
        Ok(Folder {
            file,
            path,
            trust: self.trust,
        })
    }

    fn check(&self, is_last: bool) -> Result<(), HostError> {
        let metadata = self.file.metadata();
        let metadata = metadata.map_err(io_error("look at", &self.path))?;
        if is_last || !Trust::is_sticky(&metadata) {
            self.trust.check(&self.path, &metadata)?;
        }
        if metadata.is_dir() {
            return Ok(());
        }
        Err(io_error("open", &self.path)(
            io::ErrorKind::NotADirectory.into(),
        ))
    }

    /// Reads a regular file of at most `limit` bytes in this folder; errors call it `shown`.
    ///
    /// Anything else is refused before it is opened: opening a FIFO waits, opening a device acts.
    /// Returns nothing if there is no such file.
    pub(super) fn read(
        &self,
        name: &OsStr,
        shown: &Path,
        limit: u64,
    ) -> Result<Option<String>, HostError> {
        let text =
            |bytes| String::from_utf8(bytes).map_err(|_| HostError::NotText(shown.to_owned()));
        let bytes = self.read_bytes(name, shown, limit)?;
        bytes.map(text).transpose()
    }

    /// Like [`Folder::read`], whatever the bytes are.
    pub(super) fn read_bytes(
        &self,
        name: &OsStr,
        shown: &Path,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, HostError> {
        let file = self.open_file(name, shown)?;
        file.map(|file| read_all(file, shown, limit)).transpose()
    }

    /// Returns whether a regular file in this folder is there and has this text.
    pub(super) fn has_text(
        &self,
        name: &OsStr,
        shown: &Path,
        text: &str,
    ) -> Result<bool, HostError> {
        let Some(file) = self.open_file(name, shown)? else {
            return Ok(false);
        };
        is_text(file, text.as_bytes()).map_err(io_error("read", shown))
    }

    fn open_file(&self, name: &OsStr, shown: &Path) -> Result<Option<File>, HostError> {
        let looked = match open_at(Some(&self.file), name, LOOK) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            looked => looked.map_err(io_error("look at", shown))?,
        };
        self.check_file(&looked, shown)?;
        let file = open_at(Some(&self.file), name, READ).map_err(io_error("open", shown))?;
        // Again, on what was opened: the name may lead elsewhere by now.
        self.check_file(&file, shown)?;
        Ok(Some(file))
    }

    fn check_file(&self, file: &File, shown: &Path) -> Result<(), HostError> {
        let metadata = file.metadata().map_err(io_error("look at", shown))?;
        self.trust.check(shown, &metadata)?;
        if metadata.is_file() {
            Ok(())
        } else {
            Err(HostError::NotRegular(shown.to_owned()))
        }
    }
}

fn open_at(folder: Option<&File>, name: &OsStr, flags: OFlag) -> io::Result<File> {
    let flags = flags | OFlag::O_CLOEXEC;
    let opened = match folder {
        Some(folder) => openat(folder, name, flags, Mode::empty()),
        None => openat(AT_FDCWD, name, flags, Mode::empty()),
    };
    opened.map(File::from).map_err(|error: Errno| error.into())
}

/// Compares piece by piece: a text of megabytes is not held twice for that.
fn is_text(mut file: File, text: &[u8]) -> io::Result<bool> {
    let mut piece = vec![0; PIECE];
    let mut rest = text;
    loop {
        let length = match file.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if length == 0 {
            return Ok(rest.is_empty());
        }
        let (Some(read), Some((begin, behind))) =
            (piece.get(..length), rest.split_at_checked(length))
        else {
            return Ok(false);
        };
        if read != begin {
            return Ok(false);
        }
        rest = behind;
    }
}

fn read_all(file: File, path: &Path, limit: u64) -> Result<Vec<u8>, HostError> {
    // Growing step by step would copy what is read; a size that is wrong does no harm.
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let size = usize::try_from(size.min(limit)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(size + 1);
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(io_error("read", path))?;
    if bytes.len() as u64 > limit {
        let path = path.to_owned();
        return Err(HostError::TooLarge { path, limit });
    }
    Ok(bytes)
}
