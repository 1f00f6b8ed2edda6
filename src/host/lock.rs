//! One tidegate at a time.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where the lock's file is touched"
)]

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, OFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use super::HostError;
use super::error::io_error;

const POLL: Duration = Duration::from_millis(50);

/// Keeps every other tidegate from changing the machine, flock(2).
///
/// The commands started meanwhile share it: should tidegate be killed, one that is still loading
/// rules keeps the next tidegate waiting until it has ended.
///
/// While it is held, what asks a program to end (Ctrl-C, a terminal that is closed, SIGTERM) waits:
/// it would find rules of one family new and those of the other old.
#[derive(Debug)]
pub struct Lock {
    // In this order: signals come when nothing is held any more.
    _file: Option<Flock<File>>,
    _calm: Option<Calm>,
}

/// Signals that wait in this thread until it is dropped, and those that waited before.
#[derive(Debug)]
struct Calm {
    before: SigSet,
}

impl Calm {
    fn begin() -> Option<Self> {
        let mut asking = SigSet::empty();
        for signal in [
            Signal::SIGHUP,
            Signal::SIGINT,
            Signal::SIGQUIT,
            Signal::SIGTERM,
        ] {
            asking.add(signal);
        }
        let before = asking.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok()?;
        Some(Calm { before })
    }
}

impl Drop for Calm {
    fn drop(&mut self) {
        // It fails for sets that are none; this one is the kernel's own.
        let _ = self.before.thread_set_mask();
    }
}

impl Lock {
    /// Returns the lock of a machine that nobody else can change.
    pub fn unneeded() -> Self {
        Lock {
            _file: None,
            _calm: None,
        }
    }

    /// Takes the lock kept in the file at `path`, or names its holder after waiting in vain.
    pub(super) fn take(path: &Path, wait: Duration) -> Result<Self, HostError> {
        let begin = Instant::now();
        let mut file = open(path).map_err(io_error("open", path))?;
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(locked) => return Self::keep(locked).map_err(io_error("lock", path)),
                Err((file, Errno::EWOULDBLOCK)) => file,
                Err((_, error)) => return Err(io_error("lock", path)(error.into())),
            };
            if begin.elapsed() >= wait {
                let pid = holder(&file);
                return Err(HostError::Locked { pid });
            }
            std::thread::sleep(POLL);
        }
    }

    fn keep(mut file: Flock<File>) -> std::io::Result<Self> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        fcntl(&*file, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(Lock {
            _file: Some(file),
            _calm: Calm::begin(),
        })
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
}

fn holder(file: &File) -> String {
    let mut text = String::new();
    match file.take(32).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}
