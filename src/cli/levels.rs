//! `--deny`, `--warn` and `--allow`.

use super::args::LevelArgs;
use super::failure::{Failure, FailureKind};
use crate::diag::level::LevelError;
use crate::diag::{Level, Levels, code};

pub(super) fn read(args: &LevelArgs) -> Result<Levels, Failure> {
    let mut levels = Levels::default();
    for (names, level) in [
        (&args.deny, Level::Deny),
        (&args.warn, Level::Warn),
        (&args.allow, Level::Allow),
    ] {
        for name in names {
            levels.set(name, level).map_err(|error| refused(&error))?;
        }
    }
    Ok(levels)
}

fn refused(error: &LevelError) -> Failure {
    let help = match error {
        LevelError::Mistake(code) => {
            format!("only warnings have levels; `tidegate explain {code}` says how to mend it")
        }
        LevelError::Twice(_) => "name it after one of `--deny`, `--warn` and `--allow`".to_owned(),
        LevelError::Unknown(name) => unknown(name),
    };
    Failure::new(FailureKind::Usage, &error.to_string(), &help)
}

/// Says what a name that is no code may have been meant to be.
pub(super) fn unknown(name: &str) -> String {
    match code::nearest(name) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`tidegate explain` lists all codes".to_owned(),
    }
}
