//! The rule set: tables, chains, matches and verdicts, apart from how iptables spells them.

pub mod bounds;
pub mod bridge;
mod chain_name;
pub mod docker;
pub mod dump;
pub mod hidden;
mod lower;
mod nesting;
pub mod nftables;
mod optimise;
pub mod podman;
mod render;
mod rule;
pub mod save;
mod table;
pub mod trace;
pub mod verbatim;
mod walk;

pub use crate::net::Family;
pub use chain_name::ChainName;
pub(crate) use chain_name::is_of_tree;
pub use lower::{TooManyRules, draft};
pub use optimise::{Shape, lower, optimise, optimised, plain};
pub use render::{ChainText, policy_name, render, render_chains};
pub use rule::{Conntrack, Hook, Interface, Limit, Origin, Over, Rule, Ruleset, Service, Target};
pub use table::{Place, Table};
pub use walk::{ConnState, Packet, Trail, Verdict, walk};

/// Returns the end of a message about a line: what it says, where it says anything.
fn said(line: &str) -> String {
    match line.trim() {
        "" => String::new(),
        line => format!(": {}", verbatim::shown(line)),
    }
}
