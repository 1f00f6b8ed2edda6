//! A child's standard input and outputs, served side by side in one thread.
//!
//! No thread of its own feeds the input: one that cannot be started would be a panic in the middle
//! of a change.

use std::fs::File;
use std::io::{ErrorKind, Read, Result, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::progress::BEAT;

/// What is read at once; a pipe holds some times that, pipe(7).
const CHUNK: usize = 16 << 10;

/// Gives a child its input while reading its outputs: either alone can fill a pipe and hang.
///
/// `beat` is called now and then while nothing comes.
///
/// Returns what came from standard output and standard error, or nothing if they are still open at
/// the deadline.
pub(super) fn talk(
    child: &mut Child,
    input: &[u8],
    deadline: Instant,
    beat: &dyn Fn(),
) -> Result<Option<[Vec<u8>; 2]>> {
    let stdin = child.stdin.take().map(OwnedFd::from);
    let mut input = Input::new(stdin, input)?;
    let mut stdout = Output::new(child.stdout.take().map(OwnedFd::from));
    let mut stderr = Output::new(child.stderr.take().map(OwnedFd::from));
    while stdout.pipe.is_some() || stderr.pipe.is_some() {
        let pipes = [&input.pipe, &stdout.pipe, &stderr.pipe];
        let Some([may_write, may_read, may_read_errors]) = wait(pipes, deadline, beat)? else {
            return Ok(None);
        };
        if may_write {
            input.write()?;
        }
        if may_read {
            stdout.read()?;
        }
        if may_read_errors {
            stderr.read()?;
        }
    }
    Ok(Some([stdout.text, stderr.text]))
}

/// Waits until one of the pipes that are open is ready, and tells which; nothing at the deadline.
fn wait(
    pipes: [&Option<File>; 3],
    deadline: Instant,
    beat: &dyn Fn(),
) -> Result<Option<[bool; 3]>> {
    let open = pipes.map(|pipe| pipe.as_ref().map(AsFd::as_fd));
    let wanted = [PollFlags::POLLOUT, PollFlags::POLLIN, PollFlags::POLLIN];
    let polled = open.iter().zip(wanted);
    let polled = polled.filter_map(|(fd, flags)| fd.map(|fd| PollFd::new(fd, flags)));
    let mut polled: Vec<PollFd<'_>> = polled.collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.min(BEAT)).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, timeout) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(0) if left.is_zero() => return Ok(None),
            Ok(0) => beat(),
            Ok(_) => break,
        }
    }
    // An end that was closed counts as ready, too: the next read or write says so.
    let mut ready = polled.iter().map(|fd| fd.any().unwrap_or(true));
    Ok(Some(
        open.map(|fd| fd.is_some() && ready.next().unwrap_or(false)),
    ))
}

/// What is left to be written.
struct Input<'i> {
    pipe: Option<File>,
    rest: &'i [u8],
}

impl<'i> Input<'i> {
    fn new(pipe: Option<OwnedFd>, rest: &'i [u8]) -> Result<Self> {
        // Nothing to write: the child is to see the end at once.
        let pipe = pipe.filter(|_| !rest.is_empty()).map(File::from);
        if let Some(pipe) = &pipe {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Input { pipe, rest })
    }

    /// Writes what fits. A child that stops reading early says why in its status.
    fn write(&mut self) -> Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        match pipe.write(self.rest) {
            Ok(written) => self.rest = self.rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.rest = &[],
            Err(error) if is_no_failure(error.kind()) => {}
            Err(error) => return Err(error),
        }
        if self.rest.is_empty() {
            self.pipe = None;
        }
        Ok(())
    }
}

fn is_no_failure(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// What was read so far.
struct Output {
    pipe: Option<File>,
    text: Vec<u8>,
}

impl Output {
    fn new(pipe: Option<OwnedFd>) -> Self {
        Output {
            pipe: pipe.map(File::from),
            text: Vec::new(),
        }
    }

    /// Reads what is there, and closes the pipe at its end.
    fn read(&mut self) -> Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let mut chunk = [0; CHUNK];
        match pipe.read(&mut chunk) {
            Ok(0) => self.pipe = None,
            Ok(length) => self
                .text
                .extend_from_slice(chunk.get(..length).unwrap_or_default()),
            Err(error) if is_no_failure(error.kind()) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
