//! Statements without which a policy means exactly the same.

use std::collections::BTreeSet;

use crate::diag::{Code, Diagnostic, code};
use crate::diagram::Budget;
use crate::meaning::{By, Kind, Setting, Surplus, TooMany, Why, surplus};
use crate::policy::ir::Policy;
use crate::source::Span;

/// Warns of each; those at `gone` are told already.
pub(super) fn check(
    policies: &[Policy],
    gone: &BTreeSet<Span>,
    budget: &Budget,
) -> Result<Vec<Diagnostic>, TooMany> {
    let found = surplus(policies, gone, budget)?;
    Ok(found.iter().map(warning).collect())
}

fn warning(found: &Surplus) -> Diagnostic {
    let (code, title) = title(found);
    let warning = Diagnostic::warning(code, title).at(found.span, label(found));
    let warning = found
        .by
        .iter()
        .fold(warning, |warning, by| told(warning, found, *by));
    let warning = if found.more {
        warning.note("Others take part in it.")
    } else {
        warning
    };
    warning.help(help(found))
}

/// Returns the word that the statement, or what is judged of it, starts with.
fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Allow => "allow",
        Kind::Deny => "deny",
        Kind::Exposure { .. } => "from",
        Kind::Link => "link",
    }
}

fn title(found: &Surplus) -> (Code, String) {
    let word = word(found.kind);
    match (found.kind, found.why) {
        (Kind::Deny, _) => (
            code::DENIES_NOTHING,
            format!("this `{word}` denies nothing"),
        ),
        (_, Why::Cancelled) => (
            code::CANCELLED,
            format!("denials leave nothing of this `{word}`"),
        ),
        (_, Why::Nobody) => (code::NOTHING_NEW, format!("this `{word}` opens nothing")),
        _ => (
            code::NOTHING_NEW,
            format!("this `{word}` opens nothing new"),
        ),
    }
}

fn label(found: &Surplus) -> &'static str {
    match (found.why, found.kind) {
        (Why::Nobody, _) => "no packet is from one of its sides to the other",
        (Why::Closed, _) => "all that it names is closed",
        (Why::Anyway, Kind::Deny) => "what of it is open is denied without it",
        (Why::Anyway, Kind::Exposure { .. }) => "whoever it lets in comes in without it",
        (Why::Anyway, _) => "without it the policy means the same",
        (Why::Cancelled, _) => "all that it opens is denied",
    }
}

fn told(warning: Diagnostic, found: &Surplus, by: By) -> Diagnostic {
    let denies = found.kind == Kind::Deny || found.why == Why::Cancelled;
    let parts = found.by.len() > 1 || found.more;
    match by {
        By::Statement(span) => {
            let text = match (denies, parts) {
                (true, false) => "this denies it",
                (true, true) => "this denies a part of it",
                (false, false) => "this opens it",
                (false, true) => "this opens a part of it",
            };
            warning.also(span, text)
        }
        By::Setting(Setting::Icc(span)) => {
            warning.also(span, "`icc on`: its containers may connect to each other")
        }
        By::Setting(Setting::Egress(span)) => warning.also(
            span,
            "`egress on`: its containers may connect to the outside",
        ),
        By::Setting(Setting::HostAccess(span)) => warning.also(
            span,
            "`host-access on`: its containers may connect to the host",
        ),
        By::Setting(Setting::Host) => {
            warning.note("The host's own ports are open to whoever is on none of its networks.")
        }
    }
}

fn help(found: &Surplus) -> &'static str {
    match (found.kind, found.why) {
        (Kind::Exposure { .. }, Why::Cancelled) => {
            "name somebody else, or say in the denial what it is to leave"
        }
        (_, Why::Cancelled) => "take it out, or say in the denial what it is to leave",
        (Kind::Exposure { published: true }, _) => "name somebody else",
        (Kind::Exposure { published: false }, _) => "take the `from` out, or name somebody else",
        _ => "take it out, or correct what it was meant to say",
    }
}
