//! How urgent a line of the journal is, `sd-daemon(3)`.
#![expect(
    clippy::disallowed_methods,
    reason = "where a line goes is no part of what it says"
)]

use std::env;
use std::os::fd::AsFd;

use nix::sys::stat::fstat;

/// The levels of `syslog(3)` that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    Error = 3,
    Warning = 4,
    Info = 6,
}

/// Returns the text for a stream: where that is the journal, each line with its urgency in front.
pub fn for_journal(stream: impl AsFd, text: &str, urgency: Urgency) -> String {
    if is_journal(stream) {
        marked(text, urgency)
    } else {
        text.to_owned()
    }
}

/// `JOURNAL_STREAM` holds the device and inode of the stream that systemd made, `systemd.exec(5)`; a
/// stream that somebody put in its place has others.
fn is_journal(stream: impl AsFd) -> bool {
    let said = env::var("JOURNAL_STREAM").unwrap_or_default();
    fstat(stream).is_ok_and(|stat| said == format!("{}:{}", stat.st_dev, stat.st_ino))
}

fn marked(text: &str, urgency: Urgency) -> String {
    let level = urgency as u8;
    let lines = text.lines().map(|line| format!("<{level}>{line}\n"));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_says_how_urgent_it_is() {
        let text = "error[T0501]: no\nhelp: mend it\n";
        let expected = "<3>error[T0501]: no\n<3>help: mend it\n";
        assert_eq!(marked(text, Urgency::Error), expected);
        assert_eq!(marked("", Urgency::Info), "");
    }
}
