//! Compares a policy with what runs: one place, one set of codes, for every command that says so.
//!
//! Pure: [`Facts`] and rules in, findings out. Whoever asks has looked at the machine before.

mod containers;
mod interfaces;
mod networks;
mod others;
mod outside;
mod ports;
#[cfg(test)]
mod tests;

use crate::artifact::Opening;
use crate::diag::finding::{Finding, Weight};
use crate::facts::Facts;
use crate::netfilter::trace::Machine;
use crate::policy::ir::Policy;

/// Who asks. What is about to change and what is said to stand weigh differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// `apply`, and `plan` about what runs now: a policy is to be in force.
    Change,
    /// `plan`, about what would be.
    Plan,
    /// `drift`, `doctor`, `status` and `check --live`, about what is.
    Look,
}

/// A policy, as a host sees it or as its bundle tells it, and what runs on that host.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    pub policy: &'a Policy,
    pub facts: &'a Facts,
    pub asks: Asks,
}

impl World<'_> {
    /// Returns the weight of what is wrong already, and of what is only going to be.
    fn if_in_force(self, now: Weight, to_be: Weight) -> Weight {
        match self.asks {
            Asks::Look => now,
            Asks::Change | Asks::Plan => to_be,
        }
    }
}

/// Returns what differs, whatever rules are in force; the worst first.
pub fn compare(world: World<'_>) -> Vec<Finding> {
    let found = networks::compare(world).into_iter();
    let found = found.chain(containers::compare(world));
    let found = found.chain(interfaces::compare(world));
    sorted(found.chain(ports::compare(world)).collect())
}

/// Returns which published ports that no line opens the rules in force leave open, and which they close.
/// `machines` has each family that the kernel has, with the rules as they are in force; or why they cannot
/// be followed.
pub fn under_rules(
    world: World<'_>,
    openings: &[Opening],
    machines: Result<&[Machine], &str>,
) -> Vec<Finding> {
    sorted(ports::under_rules(world, openings, machines))
}

/// Returns rules of others that drop what the policy opens, as far as they are followed.
pub fn against_others(
    world: World<'_>,
    openings: &[Opening],
    machines: &[Machine],
) -> Vec<Finding> {
    sorted(others::compare(world, openings, machines))
}

fn sorted(mut all: Vec<Finding>) -> Vec<Finding> {
    all.sort_by(|one, other| {
        (one.weight, one.code, &one.seen).cmp(&(other.weight, other.code, &other.seen))
    });
    all
}
