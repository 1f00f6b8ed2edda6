//! What on this machine can undo the policy, and what to do about it.
//!
//! [`Facts::of`] looks, through [`crate::host::Host`], and changes nothing; every check is a pure
//! function from facts to findings, and [`examine`] runs the table of them.

mod engine;
mod facts;
mod kernel;
mod nftables;
mod own;
mod proxy;
mod report;
mod rules;
mod tools;

pub use crate::diag::finding::{Finding, Weight};
pub use facts::{Facts, Unseen};
pub use report::Report;

/// One thing that is looked at.
struct Check {
    /// What it asks, in a few words.
    name: &'static str,
    run: fn(&Facts) -> Vec<Finding>,
}

const fn check(name: &'static str, run: fn(&Facts) -> Vec<Finding>) -> Check {
    Check { name, run }
}

/// Every check, in the order of the codes.
const CHECKS: &[Check] = &[
    check("rules in the other iptables", rules::other_variant),
    check("saved rules that a service loads", tools::saved_rules),
    check("nftables.service", tools::nftables_service),
    check("ufw", tools::ufw),
    check("firewalld", tools::firewalld),
    check("scripts that flush or restore rules", tools::scripts),
    check("rules in front of tidegate's", rules::in_front),
    check("packets without connection tracking", rules::untracked),
    check("packets led elsewhere", rules::redirected),
    check("packets given to programs", rules::queued),
    check("ways around netfilter", kernel::offloads),
    check("the engine's network socket", engine::network_socket),
    check("the engine's socket", engine::socket),
    check("powers of containers", engine::powers),
    check("the engine's settings", engine::settings),
    check("other engines", rules::other_engines),
    check("files that set kernel settings later", kernel::later_files),
    check("kernel settings", kernel::settings),
    check("room for connections", kernel::connections),
    check("units", own::units),
    check("installed bundle", own::bundle),
    check("drift", own::drift),
    check("release of iptables", own::iptables),
    check("what DOCKER-USER decides earlier", rules::docker_user),
    check("the mark of grants", rules::mark),
    check("ports that only Docker's proxy serves", proxy::unmentioned),
    check("what runs, against the policy", own::compared),
];

/// Returns what every check finds, the worst first.
pub fn examine(facts: &Facts) -> Report {
    let found = CHECKS.iter().flat_map(|check| (check.run)(facts));
    let mut findings: Vec<Finding> = found.chain(facts.unseen.iter().map(own::unseen)).collect();
    findings.sort_by_key(|finding| (finding.weight, finding.code));
    Report {
        findings,
        looked_at: facts.counts(CHECKS.iter().map(|check| check.name)),
    }
}

#[cfg(test)]
mod tests;
