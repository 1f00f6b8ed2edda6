//! Loads rules until they are as wanted, while others may change them.

use super::error::Problem;
use super::plan::transaction;
use super::state::TideState;
use crate::host::{Host, HostError};
use crate::netfilter::Family;
use crate::netfilter::save::{self, Tables};

/// How often rules are loaded while others change them; Docker, starting, may do so once or twice.
const ROUNDS: usize = 5;

/// Reads the rules of one family that are in force, as far as they can be.
pub(super) fn live(host: &dyn Host, family: Family) -> Result<Tables, Problem> {
    let text = host.save(family)?;
    save::parse_live(&text).map_err(|error| Problem::Unreadable { family, error })
}

/// Returns the families whose rules this machine can have.
pub(super) fn families(host: &dyn Host) -> Vec<Family> {
    let there = |family: &Family| *family == Family::V4 || host.has_ipv6();
    Family::BOTH.into_iter().filter(there).collect()
}

/// Loads what is missing until nothing is, table by table.
///
/// Errors: when all else is done, a table of which something is wanted and that cannot be read.
pub(super) fn converge(host: &dyn Host, family: Family, wanted: &TideState) -> Result<(), Problem> {
    for _ in 0..ROUNDS {
        if step(host, family, wanted)? == Step::Right {
            return Ok(());
        }
    }
    Err(Problem::Unstable { family })
}

/// Loads what is missing, and leaves it to a later [`converge`] to look whether anything still is.
pub(super) fn load(host: &dyn Host, family: Family, wanted: &TideState) -> Result<(), Problem> {
    for _ in 0..ROUNDS {
        if step(host, family, wanted)? != Step::Refused {
            return Ok(());
        }
    }
    Err(Problem::Unstable { family })
}

/// Like [`load`], with a text that was made of the rules a moment ago: they are not read again, unless
/// somebody else was quicker.
pub(super) fn load_text(
    host: &dyn Host,
    family: Family,
    wanted: &TideState,
    text: &str,
) -> Result<(), Problem> {
    match attempt(host, family, wanted, text)? {
        Step::Refused => load(host, family, wanted),
        Step::Loaded | Step::Right => Ok(()),
    }
}

/// What came of reading the rules and loading what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing was missing.
    Right,
    Loaded,
    /// Others have changed the rules between reading and loading.
    Refused,
}

fn step(host: &dyn Host, family: Family, wanted: &TideState) -> Result<Step, Problem> {
    let live = live(host, family)?;
    match transaction(&live, wanted) {
        Some(text) => attempt(host, family, wanted, &text),
        None => all_read(family, &live, wanted).map(|()| Step::Right),
    }
}

/// Refuses to say of a table that cannot be read that it is as wanted.
fn all_read(family: Family, live: &Tables, wanted: &TideState) -> Result<(), Problem> {
    let mut unread = live.unread().iter();
    match unread.find(|(table, _)| !wanted.leaves(**table)) {
        None => Ok(()),
        Some((_, error)) => Err(Problem::Unreadable {
            family,
            error: error.clone(),
        }),
    }
}

fn attempt(
    host: &dyn Host,
    family: Family,
    wanted: &TideState,
    text: &str,
) -> Result<Step, Problem> {
    let Err(error) = host.restore(family, text) else {
        return Ok(Step::Loaded);
    };
    if !matches!(error, HostError::Command { .. }) {
        return Err(error.into());
    }
    // Had somebody changed the rules between reading and loading, the text is new now.
    let again = transaction(&live(host, family)?, wanted);
    if again.is_some_and(|again| again == text) {
        return Err(Problem::Rejected { family, error });
    }
    Ok(Step::Refused)
}

/// Like [`load_text`], but a table that fails does not keep the ones behind it from loading.
pub(super) fn load_each(
    host: &dyn Host,
    family: Family,
    wanted: &TideState,
    text: &str,
) -> Result<(), Problem> {
    let ended = load_text(host, family, wanted, text);
    // What hangs would hang for each table again, and a boot waits for it.
    let hangs = matches!(ended, Err(Problem::Host(HostError::Hangs { .. })));
    if ended.is_err()
        && !hangs
        && let Some(text) = transaction(&live(host, family)?, wanted)
    {
        for table in text.split_inclusive("COMMIT\n") {
            // What fails here is what failed before.
            let _ = host.restore(family, table);
        }
    }
    ended
}
