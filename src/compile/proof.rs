//! What is asked of rules before they are written: do they mean what the policy says, and keep what it
//! expects?

use super::at_once;
use crate::artifact::Bundle;
use crate::diag::{Diagnostic, code};
use crate::diagram::Budget;
use crate::meaning::{Difference, Invalid, validate};
use crate::netfilter::bounds::{self, Beyond};
use crate::netfilter::{Family, Ruleset};
use crate::policy::ir::Policy;
use crate::question::{self, HostRules, Unkept, Why};

/// Most edges that one comparison of rules with a policy may need, and all of a compile at one time; one
/// takes about 40 bytes, with what is kept of the work.
const EDGES: [usize; 2] = [8_000_000, 10_000_000];
/// Most steps of work for all hosts, families and expectations of a compile.
const STEPS: u64 = 150_000_000;

/// Steps that a rule stands for, from the policy to the text and back, before any comparison.
const STEPS_PER_RULE: u64 = 300;

/// Returns what all comparisons of a compile share.
pub(super) fn budget() -> Budget {
    let [each, all] = EDGES;
    Budget::new(each, all, STEPS)
}

/// Returns the steps that writing and reading rules stands for.
pub(super) fn written(rulesets: &[Ruleset]) -> u64 {
    let chains = rulesets.iter().flat_map(|rules| rules.chains.values());
    let rules: usize = chains.map(Vec::len).sum();
    rules as u64 * STEPS_PER_RULE
}

/// Holds every chain that was written against what iptables and the kernel take.
pub(super) fn loadable(bundle: &Bundle) -> Option<Diagnostic> {
    let beyond = at_once(&Family::BOTH, |family| {
        let beyond = bounds::check(bundle.rules(*family)).err()?;
        Some(not_loadable(*family, &beyond))
    });
    beyond.into_iter().flatten().next()
}

pub(super) fn not_loadable(family: Family, beyond: &Beyond) -> Diagnostic {
    let message = format!("the {family} rules would not load");
    let help = match beyond {
        Beyond::Jumps { .. } => "put sets together that the same ports are for, or use fewer",
        _ => "this is a mistake of tidegate, not of the policy: please report it",
    };
    Diagnostic::error(code::NOT_LOADABLE, message)
        .note(beyond.to_string())
        .help(help)
}

/// Reads the rules again and compares what they mean with what the policy says.
pub(super) fn prove(policy: &Policy, bundle: &Bundle, budget: &Budget) -> Option<Diagnostic> {
    let validated = at_once(&Family::BOTH, |family| {
        validate(policy, bundle.rules(*family), *family, budget)
    });
    let wrong = validated.into_iter().find_map(Result::err)?;
    Some(unproven(wrong, networks(policy)))
}

/// Returns how many networks of this host a policy has, and how many of others.
pub(super) fn networks(policy: &Policy) -> [usize; 2] {
    [true, false].map(|local| {
        let networks = policy.networks.iter();
        networks.filter(|network| network.local == local).count()
    })
}

/// Says what it means for a policy with such networks that its rules are not proven.
pub(super) fn unproven(wrong: Invalid, networks: [usize; 2]) -> Diagnostic {
    match wrong {
        Invalid::NotKnown => too_much_work(&wrong, networks),
        Invalid::Differs(found) => differing(&found),
        Invalid::Unread(_) | Invalid::TooDeep(_) => bug(wrong.to_string()),
    }
}

/// Says what to do about a policy by what it has most of.
fn too_much_work(wrong: &Invalid, [here, far]: [usize; 2]) -> Diagnostic {
    let help = if far > 100 {
        "make a policy of each group of hosts, with what they share in an included file"
    } else if here > 100 {
        "put containers that may reach each other into one network"
    } else {
        "name prefixes instead of addresses, and share sets and limits"
    };
    Diagnostic::error(code::TOO_MANY_TO_PROVE, wrong.to_string())
        .note(format!(
            "It is more work than {} million steps, or {} million edges of diagrams: nobody knows \
             whether they mean the same.",
            STEPS / 1_000_000,
            EDGES[1] / 1_000_000
        ))
        .help(format!("{help}; or compile `--unproven`"))
}

pub(super) fn omitted() -> Diagnostic {
    let message = "nobody has compared the rules with the policy";
    Diagnostic::warning(code::NOT_PROVEN, message).note("`--unproven` was given")
}

/// Holds what the policy expects against the rules.
pub(super) fn expected(
    policies: &[Policy],
    bundles: &[Bundle],
    budget: &Budget,
) -> Vec<Diagnostic> {
    let pairs = policies.iter().zip(bundles);
    let host = |(policy, bundle)| HostRules {
        policy,
        rules: Family::BOTH.map(|family| Bundle::rules(bundle, family)),
    };
    let hosts: Vec<HostRules<'_>> = pairs.map(host).collect();
    let found = question::unkept(&hosts, budget);
    let is_unknown = |found: &&Unkept| matches!(found.why, Why::NotKnown);
    let (unknown, known): (Vec<&Unkept>, Vec<&Unkept>) = found.iter().partition(is_unknown);
    let first = unknown.first().map(|first| match unknown.len() {
        1 => unkept(first),
        count => unkept(first).note(format!("Nor is it known of {} more.", count - 1)),
    });
    known.into_iter().map(unkept).chain(first).collect()
}

fn unkept(found: &Unkept) -> Diagnostic {
    match &found.why {
        Why::Nobody => Diagnostic::error(
            code::EXPECTED_OF_NOBODY,
            "no connection can ever be what this expects",
        )
        .at(
            found.span,
            "neither side has an address of the other's family",
        )
        .help("name another side, or give the container an address with `at`"),
        Why::NotKnown => {
            let message = "whether this holds takes too many steps to find out";
            Diagnostic::error(code::TOO_MANY_TO_PROVE, message).at(found.span, "not known")
        }
        Why::Packet {
            host,
            packet,
            reason,
        } => {
            let by = reason
                .by
                .as_ref()
                .map_or_else(String::new, |by| format!(" by {by}"));
            let on = host
                .as_ref()
                .map_or_else(String::new, |host| format!(" on {host}"));
            let message = format!("this expectation does not hold{on}");
            Diagnostic::error(code::NOT_EXPECTED, message)
                .at(found.span, format!("{}{by}", reason.end))
                .note(format!("For one: {packet}."))
        }
    }
}

fn bug(message: String) -> Diagnostic {
    let title = "the rules do not mean what the policy says";
    let diagnostic = Diagnostic::error(code::RULES_DIFFER, title).note(message);
    diagnostic.help("this is a mistake of tidegate, not of the policy: please report it")
}

fn differing(found: &Difference) -> Diagnostic {
    let mut diagnostic = bug(format!("{}: {found}", found.family));
    for span in &found.statements {
        diagnostic = diagnostic.at(*span, "this names the packet");
    }
    for (line, text) in &found.rules {
        diagnostic = diagnostic.note(format!("it meets line {line} of the rules: {text}"));
    }
    diagnostic
}
