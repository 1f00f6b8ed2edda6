//! The rule set: tables, chains, matches and verdicts, apart from how iptables spells them.

mod chain_name;
mod family;
mod lower;
mod render;
mod rule;
pub mod save;
mod walk;

pub use chain_name::ChainName;
pub use family::{Family, Place, Table};
pub use lower::{TooManyRules, lower};
pub use render::{ChainText, policy_name, render, render_chains};
pub use rule::{Conntrack, Hook, Interface, Limit, Origin, Rule, Ruleset, Service, Target};
pub use walk::{ConnState, Packet, Trail, Verdict, walk};
