//! Every message, once, as a terminal shows it: `snapshots/CODE.snap`.
//!
//! A code's message comes from the example on its page where that is a policy, else from a table
//! here. What only a part of the library can say is told by that part's own tests, into the same
//! folder.

mod machine;
mod policies;

use std::collections::BTreeSet;
use std::fs;

use tidegate::diag::code::{self, Entry};
use tidegate::diag::text::{Style, render};
use tidegate::diag::{Code, Diagnostic};
use tidegate::source::SourceMap;

use crate::support::files::repository;

/// A terminal as it is opened everywhere.
const LINES: usize = 24;

/// What the program takes a terminal to be that it knows nothing of.
const COLUMNS: usize = 100;

/// What a label may add behind the line of the policy that it is about.
const LABEL: usize = 16;

/// Compares a message with its snapshot.
fn told(code: Code, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(repository().join("tests/messages/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(code.0, text));
}

/// Returns one diagnostic as a terminal without colours shows it.
fn shown(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    let style = Style {
        colour: false,
        width: COLUMNS,
    };
    render(std::slice::from_ref(diagnostic), sources, "", style)
}

/// Returns the message of a code's snapshot, without insta's own head.
fn snapshot(code: Code) -> Option<String> {
    let path = repository().join(format!("tests/messages/snapshots/{code}.snap"));
    let text = fs::read_to_string(path).ok()?;
    let message = text.splitn(3, "---\n").nth(2)?;
    Some(message.to_owned())
}

/// Says how a code's snapshot is not as it must be.
fn flaw(entry: &Entry) -> Option<String> {
    let code = entry.code;
    let Some(message) = snapshot(code) else {
        return Some(format!("{code} has no snapshot"));
    };
    let widest = message.lines().map(|line| line.chars().count()).max();
    let lines = message.lines().count();
    if !message.contains(&format!("[{code}]: ")) {
        Some(format!("{code}: its snapshot is of another code"))
    } else if lines > LINES {
        Some(format!("{code}: {lines} lines"))
    } else if widest.is_some_and(|widest| widest > COLUMNS + LABEL) {
        Some(format!("{code}: {widest:?} columns"))
    } else {
        None
    }
}

#[test]
fn every_code_has_a_message_that_fits_a_screen() {
    let flaws: Vec<String> = code::ALL.iter().filter_map(flaw).collect();
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
    let known: BTreeSet<String> = code::ALL
        .iter()
        .map(|entry| format!("{}.snap", entry.code))
        .collect();
    let files = fs::read_dir(repository().join("tests/messages/snapshots")).unwrap();
    for file in files.map(|file| file.unwrap().file_name()) {
        let name = file.to_string_lossy();
        assert!(known.contains(name.as_ref()), "{name} is of no code");
    }
}
