//! How much a warning counts: its user decides.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Code, Diagnostic, Severity, code};

/// What stands for every warning in the place of a code.
pub const EVERY: &str = "warnings";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Nobody is told.
    Allow,
    /// It counts as a mistake.
    Deny,
    Warn,
}

/// Why a level cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LevelError {
    #[error("{0} is a mistake, and its level cannot be set")]
    Mistake(Code),
    #[error("{0} has two levels")]
    Twice(String),
    #[error("there is no code `{}`", .0.escape_debug())]
    Unknown(String),
}

/// The levels that differ from what is usual. One for a code beats that for every warning.
#[derive(Debug, Clone, Default)]
pub struct Levels {
    every: Option<Level>,
    codes: BTreeMap<Code, Level>,
}

impl Levels {
    /// Sets the level of a warning's code, or that of every warning.
    pub fn set(&mut self, name: &str, level: Level) -> Result<(), LevelError> {
        let before = if name == EVERY {
            self.every.replace(level)
        } else {
            self.codes.insert(warning(name)?, level)
        };
        match before {
            Some(other) if other != level => Err(LevelError::Twice(name.to_owned())),
            _ => Ok(()),
        }
    }

    /// Returns the diagnostics with their levels. Mistakes stay what they are.
    pub fn apply(&self, diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let all = diagnostics.into_iter();
        all.filter_map(|diagnostic| self.judged(diagnostic))
            .collect()
    }

    fn judged(&self, diagnostic: Diagnostic) -> Option<Diagnostic> {
        if diagnostic.severity == Severity::Error {
            return Some(diagnostic);
        }
        match self.of(diagnostic.code) {
            Level::Allow => None,
            Level::Deny => Some(denied(diagnostic)),
            Level::Warn => Some(diagnostic),
        }
    }

    fn of(&self, code: Code) -> Level {
        let level = self.codes.get(&code).copied().or(self.every);
        level.unwrap_or(Level::Warn)
    }
}

fn warning(name: &str) -> Result<Code, LevelError> {
    match code::find(name) {
        None => Err(LevelError::Unknown(name.to_owned())),
        Some(entry) if entry.severity == Severity::Error => Err(LevelError::Mistake(entry.code)),
        Some(entry) => Ok(entry.code),
    }
}

fn denied(warning: Diagnostic) -> Diagnostic {
    let denied = Diagnostic {
        severity: Severity::Error,
        ..warning
    };
    denied.note("By itself this is a warning; `--deny` makes it a mistake.")
}

#[cfg(test)]
mod tests {
    use super::{Level, LevelError, Levels};
    use crate::diag::{Diagnostic, Severity, code};

    fn levels(set: &[(&str, Level)]) -> Result<Levels, LevelError> {
        let mut levels = Levels::default();
        for (name, level) in set {
            levels.set(name, *level)?;
        }
        Ok(levels)
    }

    /// Returns what becomes of two warnings and a mistake.
    fn judged(set: &[(&str, Level)]) -> Vec<(&'static str, Severity)> {
        let all = vec![
            Diagnostic::warning(code::FORWARD_LEFT_OPEN, "a"),
            Diagnostic::warning(code::EXCEPT_NOTHING, "b"),
            Diagnostic::error(code::BAD_PORT, "c"),
        ];
        let judged = levels(set).unwrap().apply(all);
        let short = |it: &Diagnostic| (it.code.0, it.severity);
        judged.iter().map(short).collect()
    }

    const MISTAKE: (&str, Severity) = ("T0307", Severity::Error);

    #[test]
    fn without_levels_nothing_changes() {
        let warnings = [("T0350", Severity::Warning), ("T0353", Severity::Warning)];
        assert_eq!(judged(&[]), [warnings[0], warnings[1], MISTAKE]);
        let warn = [("T0350", Level::Warn), ("warnings", Level::Warn)];
        assert_eq!(judged(&warn), [warnings[0], warnings[1], MISTAKE]);
    }

    #[test]
    fn a_level_is_for_its_code_alone() {
        assert_eq!(
            judged(&[("t0350", Level::Deny), ("T0353", Level::Allow)]),
            [("T0350", Severity::Error), MISTAKE]
        );
    }

    #[test]
    fn a_code_beats_what_is_said_of_every_warning() {
        let denied = judged(&[("T0353", Level::Warn), ("warnings", Level::Deny)]);
        assert_eq!(
            denied,
            [
                ("T0350", Severity::Error),
                ("T0353", Severity::Warning),
                MISTAKE
            ]
        );
        let hidden = judged(&[("warnings", Level::Allow), ("T0353", Level::Warn)]);
        assert_eq!(hidden, [("T0353", Severity::Warning), MISTAKE]);
    }

    #[test]
    fn only_warnings_have_levels_and_each_has_one() {
        let why = |set: &[(&str, Level)]| levels(set).unwrap_err().to_string();
        assert_eq!(
            why(&[("T0307", Level::Allow)]),
            "T0307 is a mistake, and its level cannot be set"
        );
        assert_eq!(why(&[("T9999", Level::Deny)]), "there is no code `T9999`");
        let twice = [("T0350", Level::Deny), ("T0350", Level::Allow)];
        assert_eq!(why(&twice), "T0350 has two levels");
        assert!(levels(&[("T0350", Level::Deny), ("T0350", Level::Deny)]).is_ok());
    }
}
