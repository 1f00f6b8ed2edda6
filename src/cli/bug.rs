//! What is said of a bug in tidegate.

use std::fmt::Display;
use std::io::Write;
use std::panic::PanicHookInfo;

/// Says on standard error what the program did not expect, and where.
///
/// The standard library's own message makes a backtrace where `RUST_BACKTRACE` asks for one, and holds
/// a lock meanwhile. Should memory end there, the message about that waits for the same lock, for ever
/// (Rust 1.95), and the machine's lock is never released. This one needs no lock and no memory.
pub(super) fn say(bug: &PanicHookInfo<'_>) {
    let payload = bug.payload();
    let literal = payload.downcast_ref::<&str>().copied();
    let what = literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    // With standard error gone, the exit status has to do.
    let _ = write(std::io::stderr().lock(), what, bug.location());
}

fn write(
    mut output: impl Write,
    what: Option<&str>,
    place: Option<impl Display>,
) -> std::io::Result<()> {
    let what = what.unwrap_or("no reason given");
    writeln!(output, "error: a bug in tidegate: {what}")?;
    if let Some(place) = place {
        writeln!(output, "  --> {place}")?;
    }
    let version = env!("CARGO_PKG_VERSION");
    writeln!(
        output,
        "help: report it with what you ran and this version, {version}"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_bug_tells_what_and_where() {
        let mut text = Vec::new();
        super::write(&mut text, Some("no such row"), Some("src/x.rs:1:2")).unwrap();
        let text = String::from_utf8(text).unwrap();
        insta::assert_snapshot!(text, @"
        error: a bug in tidegate: no such row
          --> src/x.rs:1:2
        help: report it with what you ran and this version, 0.1.0
        ");
    }
}
