//! Tables, and places in their chains.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The tables that tidegate writes, in the order they are loaded: each commits on its own, so the
/// one that closes comes first and the one that opens (`filter`, with the grants) last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    Mangle,
    Raw,
    Nat,
    Filter,
}

impl Table {
    pub const ALL: [Table; 4] = [Table::Mangle, Table::Raw, Table::Nat, Table::Filter];

    pub fn name(self) -> &'static str {
        match self {
            Table::Mangle => "mangle",
            Table::Raw => "raw",
            Table::Nat => "nat",
            Table::Filter => "filter",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where in its chain a hook belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The chain's last rule but for a `-j RETURN` without conditions behind it.
    BeforeReturn,
    First,
}
