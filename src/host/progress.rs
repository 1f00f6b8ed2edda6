//! What long work does at the moment, for whoever waits at a terminal.
//!
//! Nothing is written where nobody looks: in a pipe, in the journal, on a terminal that cannot move
//! its cursor, or while another program has the terminal. A terminal that takes nothing (Ctrl-S)
//! keeps no change waiting. What is shown vanishes at the end.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where the terminal is touched"
)]

use std::env;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, stderr};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nix::fcntl::OFlag;
use nix::sys::signal::SigSet;
use nix::unistd::{getpgrp, tcgetpgrp};

/// What ends sooner needs no words.
const QUIET: Duration = Duration::from_millis(500);

/// Time between two looks at the clock.
pub(super) const BEAT: Duration = Duration::from_millis(100);

/// Most drawings in a second.
const RATE: u8 = 20;

/// Where it leads: the terminal itself, opened anew, so that nobody else's writing is changed.
const OWN_STDERR: &str = "/proc/self/fd/2";

/// A line on the terminal that tells what is done at the moment; perhaps nobody sees it.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    line: Option<Arc<Line>>,
}

impl Progress {
    /// Returns a line on standard error, if that is a terminal that somebody looks at.
    pub fn on_terminal() -> Self {
        let line = can_move().then(Line::open).flatten();
        Progress {
            line: line.map(Arc::new),
        }
    }

    /// Says what is done from now on.
    pub fn now(&self, what: &str) {
        if let Some(line) = &self.line {
            line.bar.set_message(what.to_owned());
            line.draw();
        }
    }

    /// Shows that it still goes on.
    pub fn beat(&self) {
        if let Some(line) = &self.line {
            line.draw();
        }
    }

    /// Keeps the line moving while this thread works, until what is returned is dropped.
    ///
    /// Only for work that changes nothing: signals of those who want an end to it come to this
    /// thread alone, and a second one could not keep them waiting.
    #[must_use]
    pub fn moving(self, what: &str) -> Moving {
        self.now(what);
        let (end, ended) = channel();
        let line = self.line.clone();
        let thread = line.and_then(|line| {
            let beat = move || {
                let _ = SigSet::all().thread_block();
                while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                    line.draw();
                }
            };
            // Without a thread the line stands still, and the work goes on.
            Builder::new().spawn(beat).ok()
        });
        Moving {
            progress: self,
            end: Some(end),
            thread,
        }
    }
}

/// A line that is kept moving.
#[derive(Debug)]
pub struct Moving {
    progress: Progress,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Moving {
    /// Says what is done from now on.
    pub fn now(&self, what: &str) {
        self.progress.now(what);
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        drop(self.end.take());
        // A line that could not be drawn is no reason to fail.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Line {
    bar: ProgressBar,
    terminal: File,
    term: OnceLock<()>,
    begin: Instant,
    is_shown: AtomicBool,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl Line {
    fn open() -> Option<Self> {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}").ok()?;
        // Every terminal has these letters, whatever its language.
        bar.set_style(style.tick_chars("|/-\\ "));
        Some(Line {
            bar,
            terminal: terminal()?,
            term: OnceLock::new(),
            begin: Instant::now(),
            is_shown: AtomicBool::new(false),
        })
    }

    fn draw(&self) {
        if self.begin.elapsed() < QUIET || !self.is_ours() {
            return;
        }
        self.term.get_or_init(|| self.show());
        self.bar.tick();
    }

    fn show(&self) {
        let (Ok(read), Ok(write)) = (self.terminal.try_clone(), self.terminal.try_clone()) else {
            return;
        };
        let term = Term::read_write_pair(read, write);
        self.bar
            .set_draw_target(ProgressDrawTarget::term(term, RATE));
        self.is_shown.store(true, Ordering::Relaxed);
    }

    /// Returns whether the terminal is this program's to write on, and not that of another job.
    fn is_ours(&self) -> bool {
        tcgetpgrp(&self.terminal).is_ok_and(|group| group == getpgrp())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.is_shown.load(Ordering::Relaxed) && self.is_ours() {
            self.bar.finish_and_clear();
        }
    }
}

/// Returns whether standard error is a terminal whose cursor can be moved; term(7).
fn can_move() -> bool {
    stderr().is_terminal() && env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb")
}

fn terminal() -> Option<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags.bits());
    options.open(OWN_STDERR).ok()
}

/// Returns how many columns the terminal has that messages go to, if it is one.
pub fn columns() -> Option<usize> {
    if !stderr().is_terminal() {
        return None;
    }
    let (_, columns) = Term::stderr().size_checked()?;
    Some(columns.into())
}
