//! Messages for systemd's journal, with how urgent they are and fields to search them by.
//!
//! Only where standard output or standard error is the journal: there a message goes through the journal's
//! own protocol, <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>, and where that does not take it, as lines
//! with their urgency in front, `sd-daemon(3)`.
#![expect(
    clippy::disallowed_methods,
    reason = "where a line goes is no part of what it says"
)]

use std::env;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::sys::stat::fstat;

use crate::diag::hidden::escaped;

const SOCKET: &str = "/run/systemd/journal/socket";

/// The levels of `syslog(3)` that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    Error = 3,
    Warning = 4,
    Info = 6,
}

/// A name of `systemd.journal-fields(7)` or one of ours, and a value; a name may come more than once.
pub type Field = (&'static str, String);

/// Returns the fields that tell of which policy a message is, and of which version of it.
pub fn policy_fields(policy: Option<&str>, version: Option<&str>) -> Vec<Field> {
    let policy = policy.map(|name| ("TIDEGATE_POLICY", name.to_owned()));
    let version = version.map(|hex| ("TIDEGATE_VERSION", hex.get(..12).unwrap_or(hex).to_owned()));
    policy.into_iter().chain(version).collect()
}

/// Returns what is to be written to a stream: the text, or nothing where the stream is the journal
/// and the journal has it now, one entry a message, with `fields` and the message's code.
pub fn for_journal(stream: impl AsFd, text: &str, urgency: Urgency, fields: &[Field]) -> String {
    if !is_journal(stream) {
        return text.to_owned();
    }
    let plain = anstream::adapter::strip_str(text).to_string();
    let mut fields = fields.to_vec();
    fields.extend(own_unit().map(|unit| ("OBJECT_SYSTEMD_UNIT", unit)));
    let mut left = String::new();
    for message in messages(&plain) {
        if !is_sent(Path::new(SOCKET), &entry(message, urgency, &fields)) {
            left.push_str(&marked(message, urgency));
        }
    }
    left
}

/// `JOURNAL_STREAM` holds the device and inode of the stream that systemd made, `systemd.exec(5)`; a
/// stream that somebody put in its place has others.
fn is_journal(stream: impl AsFd) -> bool {
    let said = env::var("JOURNAL_STREAM").unwrap_or_default();
    fstat(stream).is_ok_and(|stat| said == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Returns the unit that this process is of.
///
/// The journal looks it up by itself, but only when it comes to read the entry: a process that has ended
/// by then has none, and `journalctl -u` would miss what it said last. What root says about a unit is
/// shown with that unit, `systemd.journal-fields(7)`.
fn own_unit() -> Option<String> {
    unit_in(&fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// Returns the unit in a text of `cgroups(7)`: the last name of a path, one path a line.
fn unit_in(cgroups: &str) -> Option<String> {
    let names = cgroups.lines().filter_map(|line| line.rsplit('/').next());
    let mut services = names.filter(|name| name.ends_with(".service"));
    services.next().map(str::to_owned)
}

/// Sends one entry. It may be too large for a datagram, or nobody may listen.
fn is_sent(socket: &Path, entry: &[u8]) -> bool {
    let sent = UnixDatagram::unbound().and_then(|ours| ours.send_to(entry, socket));
    sent.is_ok()
}

/// Splits a text into messages: each begins with a line such as `error[T0511]: …`.
fn messages(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut begin = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if at > begin && is_head(line) {
            found.extend(text.get(begin..at));
            begin = at;
        }
        at += line.len();
    }
    found.extend(text.get(begin..).filter(|rest| !rest.is_empty()));
    found
}

fn is_head(line: &str) -> bool {
    let heads = ["error[", "error:", "warning[", "warning:"];
    heads.iter().any(|head| line.starts_with(head))
}

/// Returns the code that a message begins with.
fn code(message: &str) -> Option<&str> {
    let head = message.lines().next().filter(|line| is_head(line))?;
    let (_, rest) = head.split_once('[')?;
    let (code, _) = rest.split_once("]: ")?;
    code.starts_with('T').then_some(code)
}

fn entry(message: &str, urgency: Urgency, fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, "SYSLOG_IDENTIFIER", "tidegate");
    put(&mut bytes, "PRIORITY", &(urgency as u8).to_string());
    if let Some(code) = code(message) {
        put(&mut bytes, "TIDEGATE_CODE", code);
    }
    for (name, value) in fields {
        put(&mut bytes, name, value);
    }
    put(&mut bytes, "MESSAGE", &escaped(message.trim_end()));
    bytes
}

/// Writes a field with its length, so that no value can end early and begin a field of its own.
fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend(name.bytes());
    bytes.push(b'\n');
    bytes.extend((value.len() as u64).to_le_bytes());
    bytes.extend(value.bytes());
    bytes.push(b'\n');
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

    #[test]
    fn a_text_is_as_many_entries_as_it_has_messages() {
        let one = "warning[T0350]: open\n --> shop.tide:1:1\nhelp: close it\n";
        let two = "error: shop.tide has 1 mistake\n";
        let text = format!("{one}{two}");
        assert_eq!(messages(&text), [one, two]);
        assert_eq!(messages("a rule gone\nerror: no\n").len(), 2);
        assert_eq!(messages(""), [""; 0]);
        assert_eq!(code(one), Some("T0350"));
        assert_eq!(code(two), None);
        assert_eq!(code("a rule gone[T0350]: \n"), None);
    }

    #[test]
    fn the_unit_is_the_last_name_of_the_control_group() {
        let unit = Some("tidegate-drift.service".to_owned());
        assert_eq!(unit_in("0::/system.slice/tidegate-drift.service\n"), unit);
        let two = "12:pids:/\n1:name=systemd:/system.slice/tidegate-drift.service\n";
        assert_eq!(unit_in(two), unit);
        assert_eq!(
            unit_in("0::/user.slice/user-0.slice/session-1.scope\n"),
            None
        );
    }

    /// Reads an entry as the journal does.
    fn fields(mut bytes: &[u8]) -> Vec<(String, String)> {
        let mut found = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let name = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let (length, rest) = bytes[end + 1..].split_at(8);
            let length = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
            let value = String::from_utf8(rest[..length].to_vec()).unwrap();
            assert_eq!(rest[length], b'\n');
            bytes = &rest[length + 1..];
            found.push((name, value));
        }
        found
    }

    #[test]
    fn a_socket_receives_fields_that_no_value_can_forge() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let about = policy_fields(Some("a\nPRIORITY=0\n"), Some("0123456789abcdef"));
        let message = "error[T0511]: no\nhelp: mend\u{1b} it\n";
        assert!(is_sent(&path, &entry(message, Urgency::Error, &about)));
        let mut bytes = [0; 4096];
        let length = journal.recv(&mut bytes).unwrap();
        let expected = [
            ("SYSLOG_IDENTIFIER", "tidegate"),
            ("PRIORITY", "3"),
            ("TIDEGATE_CODE", "T0511"),
            ("TIDEGATE_POLICY", "a\nPRIORITY=0\n"),
            ("TIDEGATE_VERSION", "0123456789ab"),
            ("MESSAGE", "error[T0511]: no\nhelp: mend\\u001b it"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields(&bytes[..length]), expected);
        drop(journal);
        assert!(!is_sent(&path, b""), "nobody listens");
    }
}
