//! Bounds of what is read, far above what iptables itself takes.

use super::{Condition, Dump, DumpErrorKind, DumpRule, Test};

/// Longest line, in bytes.
pub(super) const MAX_LINE: usize = 64 << 10;
/// Most rules and chains, all texts of a dump together.
pub(super) const MAX_RULES: usize = 2_000_000;
/// Most rules that make room for others, one counted for each time: a second's work.
const MAX_SHIFTS: usize = 100_000_000;

/// Refuses a line that no rule could be.
pub(super) fn shape(line: &str) -> Result<(), DumpErrorKind> {
    if line.len() > MAX_LINE {
        return Err(DumpErrorKind::Long);
    }
    // Programs in C end a text there.
    if line.contains('\0') {
        return Err(DumpErrorKind::Nul);
    }
    Ok(())
}

/// How much more may come.
#[derive(Debug)]
pub(super) struct Room {
    rules: usize,
    shifts: usize,
}

impl Room {
    /// Returns what is left beside what a dump has.
    pub(super) fn behind(dump: &Dump) -> Self {
        Room {
            rules: MAX_RULES.saturating_sub(dump.rule_count()),
            shifts: MAX_SHIFTS,
        }
    }

    pub(super) fn take(&mut self, rules: usize) -> Result<(), DumpErrorKind> {
        take(&mut self.rules, rules)
    }

    /// Counts rules that have to move for one that is put among them.
    pub(super) fn shift(&mut self, rules: usize) -> Result<(), DumpErrorKind> {
        take(&mut self.shifts, rules)
    }
}

fn take(left: &mut usize, number: usize) -> Result<(), DumpErrorKind> {
    *left = left.checked_sub(number).ok_or(DumpErrorKind::Many)?;
    Ok(())
}

impl DumpRule {
    /// Returns as how many rules it counts: iptables makes one of each address in a list.
    pub(super) fn weight(&self) -> usize {
        let length = |condition: &Condition| match &condition.test {
            Test::Source(nets) | Test::Destination(nets) => nets.len(),
            _ => 1,
        };
        self.conditions.iter().map(length).fold(1, usize::max)
    }
}
