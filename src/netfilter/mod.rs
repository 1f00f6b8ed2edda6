//! The rule set: tables, chains, matches and verdicts, apart from how iptables spells them.

mod family;
pub mod save;

pub use family::{Family, Table};
