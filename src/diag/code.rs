//! The codes that name each kind of mistake.

use std::fmt;

/// A stable code such as `T0203`; the first two digits name the stage: 01 syntax, 02 names, 03
/// meaning, 04 rules, 05 host. A code is never used again for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
