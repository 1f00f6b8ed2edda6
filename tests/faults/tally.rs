//! How many faults were tried, and how many were survived.

use std::io::{self, Write};

/// Counts the faults of one kind, and prints the figures when it is dropped.
pub(super) struct Tally {
    what: String,
    tried: u32,
    survived: u32,
    note: String,
}

impl Tally {
    pub(super) fn of(what: impl Into<String>) -> Self {
        Tally {
            what: what.into(),
            tried: 0,
            survived: 0,
            note: String::new(),
        }
    }

    /// Adds what was seen beside the faults.
    pub(super) fn note(&mut self, text: &str) {
        self.note = format!("; {text}");
    }

    /// Runs one fault with the checks behind it, which panic where a promise is broken.
    pub(super) fn fault(&mut self, fault: impl FnOnce()) {
        self.tried += 1;
        fault();
        self.survived += 1;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let Tally {
            what,
            tried,
            survived,
            note,
        } = self;
        // Not a macro: the test runner would keep it back.
        writeln!(
            io::stderr(),
            "{what}: {tried} faults tried, {survived} survived{note}"
        )
        .ok();
    }
}

/// Returns how much to try: all of it with `TIDEGATE_FAULTS=all`, for long runs by hand.
pub(super) fn is_long_run() -> bool {
    std::env::var("TIDEGATE_FAULTS").is_ok_and(|value| value == "all")
}
