//! What can go wrong with a machine.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::diag::hidden::{escaped, is_hidden};

#[derive(Debug, Error)]
pub enum HostError {
    #[error("{command} failed, {status}: {}", beginning(stderr))]
    Command {
        command: String,
        status: String,
        /// All that the command said.
        stderr: String,
    },
    #[error("the kernel's table of connections: {}", reason(.0))]
    Conntrack(io::Error),
    #[error(
        "the engine behind {} does not answer: {}",
        shown(path),
        escaped(error)
    )]
    Engine { path: PathBuf, error: String },
    /// What it printed is no text.
    #[error("{0} printed what is not UTF-8 text")]
    Garbled(String),
    #[error("{command} did not end within {seconds} s, and was killed")]
    Hangs { command: String, seconds: f32 },
    #[error("cannot {action} {}: {}", shown(path), reason(source))]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("another tidegate, process {pid}, is changing this machine")]
    Locked { pid: String },
    #[error("{0} is not a name that can be used here")]
    Name(String),
    #[error("nothing would go back when the time is over: {0}")]
    NotArmed(String),
    #[error("cannot make a network namespace to rehearse in: {}", reason(.0))]
    Namespace(io::Error),
    #[error("the command {0} is not installed (looked in {folders})", folders = super::command::FOLDERS.join(", "))]
    NoCommand(String),
    #[error("{} is not a regular file", shown(.0))]
    NotRegular(PathBuf),
    #[error("{} is not UTF-8 text", shown(.0))]
    NotText(PathBuf),
    #[error("{} is {why}", shown(path))]
    Occupied { path: PathBuf, why: &'static str },
    #[error("{} leads out of the folder that --root names", shown(.0))]
    Outside(PathBuf),
    #[error("{} is larger than {limit} bytes", shown(path))]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("the {what} of this machine are not understood: {}", escaped(error))]
    Unread { what: &'static str, error: String },
    #[error("{} {why}", shown(path))]
    Unsafe { path: PathBuf, why: &'static str },
}

/// Lines and letters of others that a message has room for.
const ROOM: (usize, usize) = (12, 1600);

/// Returns the beginning of what a command said; what follows the first error seldom helps.
fn beginning(said: &str) -> String {
    let (lines, letters) = ROOM;
    let end = said
        .char_indices()
        .nth(letters)
        .map_or(said.len(), |(at, _)| at);
    let told = said.get(..end).unwrap_or(said);
    let told: Vec<&str> = told.lines().take(lines).collect();
    let told = told.join("\n");
    let is_cut = told.trim_end().len() < said.trim_end().len();
    let more = if is_cut { " …" } else { "" };
    format!("{}{more}", escaped(&told))
}

/// Returns the function that adds to an I/O error what was being done to which path.
pub(super) fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> HostError + use<'a> {
    move |source| HostError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Returns an I/O error for people: what the system calls it, without the number of that.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    text.to_owned()
}

/// Returns a path for people. Letters that do not show, such as those that move a terminal's cursor
/// or end a line, are escaped, so that no name can look like a message of ours.
pub fn shown(path: &Path) -> String {
    let mut text = String::new();
    for letter in path.to_string_lossy().chars() {
        if is_hidden(letter) {
            text.extend(letter.escape_unicode());
        } else {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::beginning;

    #[test]
    fn what_a_command_says_at_length_is_cut() {
        assert_eq!(beginning("no such rule\n"), "no such rule");
        assert_eq!(beginning("one\ntwo\u{1b}"), "one\ntwo\\u001b");
        assert!(beginning(&"line\n".repeat(1000)).ends_with("line\nline …"));
        assert_eq!(beginning(&"line\n".repeat(1000)).lines().count(), 12);
        assert_eq!(beginning(&"ä".repeat(300_000)).chars().count(), 1602);
        assert_eq!(beginning(""), "");
    }
}
