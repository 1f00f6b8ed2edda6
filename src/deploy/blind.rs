//! Closes a table that cannot be read.
//!
//! What stands in it is not known, so that nothing can be compared. What iptables-restore(8) does all the
//! same is to fill chains of ours and to put our jumps first in chains of the kernel's. That closes; what
//! others have there stays as it is.

use std::fmt::Write as _;

use super::error::Problem;
use super::plan::{declare, fill};
use super::state::{DOCKER_USER, EngineChain, FORWARD, Hook, TO_DOCKER_USER, TideState, TideTable};
use crate::host::{Host, HostError};
use crate::netfilter::{Family, Table, is_of_tree};

/// Loads a table of `wanted` without having read it: the chains first, then each jump.
pub(super) fn load(
    host: &dyn Host,
    family: Family,
    table: Table,
    wanted: &TideState,
) -> Result<(), Problem> {
    let Some(wanted) = wanted.table(table) else {
        return Ok(());
    };
    restore(host, family, &block(table, &chains(wanted)))?;
    if wanted.docker_user == EngineChain::Need {
        // Where the chain is there already, this is refused whole.
        let new = format!("-N {DOCKER_USER}\n-I {FORWARD} 1 {TO_DOCKER_USER}\n");
        let _ = host.restore(family, &block(table, &new));
    }
    // The first of a chain is to come first: it is put there last.
    for hook in wanted.hooks.iter().rev() {
        // One that is there already goes in the same transaction. Where there is none, its deletion
        // is refused, and with it all.
        let [again, new] = ["-D", ""].map(|delete| block(table, &jump(hook, delete)));
        match host.restore(family, &again) {
            Err(HostError::Command { .. }) => restore(host, family, &new)?,
            ended => ended?,
        }
    }
    Ok(())
}

fn restore(host: &dyn Host, family: Family, text: &str) -> Result<(), Problem> {
    host.restore(family, text).map_err(|error| match error {
        HostError::Command { .. } => Problem::Rejected { family, error },
        other => other.into(),
    })
}

fn block(table: Table, lines: &str) -> String {
    format!("*{table}\n{lines}COMMIT\n")
}

fn chains(wanted: &TideTable) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let Some(policy) = wanted.forward {
        let _ = writeln!(text, ":{FORWARD} {} [0:0]", policy.name());
    }
    // Those of trees are declared where they are filled.
    for name in wanted.chains.keys().filter(|name| !is_of_tree(name)) {
        declare(&mut text, name);
    }
    fill(&mut text, &wanted.chains);
    text
}

/// Returns the lines for one jump. In `DOCKER-USER` it comes last: behind a rule that returns it is never
/// met, which opens nothing.
fn jump(hook: &Hook, delete: &str) -> String {
    let Hook { chain, rule, .. } = hook;
    let mut text = String::new();
    if !delete.is_empty() {
        let _ = writeln!(text, "{delete} {chain} {rule}");
    }
    let _ = if chain == DOCKER_USER {
        writeln!(text, "-A {chain} {rule}")
    } else {
        writeln!(text, "-I {chain} 1 {rule}")
    };
    text
}
