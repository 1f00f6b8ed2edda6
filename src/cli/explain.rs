//! `tidegate explain`.

use super::args::ExplainArgs;
use super::failure::{Failure, FailureKind};
use super::{Done, levels};
use crate::diag::code::{self, Entry};

pub(super) fn run(args: &ExplainArgs) -> Result<Done, Failure> {
    let Some(name) = &args.code else {
        return Ok(Done::yes(list()));
    };
    match code::find(name) {
        Some(entry) => Ok(Done::yes(entry.page.to_owned())),
        None => Err(Failure::new(
            FailureKind::Usage,
            &format!("there is no code `{}`", name.escape_debug()),
            &levels::unknown(name),
        )),
    }
}

fn list() -> String {
    let mut entries: Vec<&Entry> = code::ALL.iter().collect();
    entries.sort_by_key(|entry| entry.code);
    let line = |entry: &&Entry| format!("{}  {}\n", entry.code, entry.meaning);
    entries.iter().map(line).collect()
}
