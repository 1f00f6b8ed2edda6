//! What of a policy could be taken out, and the policy would mean exactly the same.
//!
//! At each hook a packet passes where something opens it and no denial names it. So a statement is
//! needless where all that it opens is open by the union of all others, or denied; and a denial where
//! all that it denies is closed, or denied by the union of all other denials. Each statement is judged
//! in both families and on every host, and of what is found all may go at once.

mod cover;
mod judge;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

pub use super::policy::Setting;
use super::policy::{Part, Says, interfaces};
use super::space::Space;
use crate::net::Family;
use crate::policy::ir::{Effect, Party, Policy};
use crate::source::Span;

use cover::Spaces;
use judge::Judge;

pub use sources::{Spare, spare_sources};

/// Most statements, counted once for each host, that are compared with each other.
pub const MAX_STATEMENTS: usize = 100_000;

/// Nobody looked, since it would take too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the statements are too many to be compared with each other")]
pub struct TooMany;

/// A statement that does nothing, or an exposure's `from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surplus {
    pub span: Span,
    pub kind: Kind,
    pub why: Why,
    /// What does it already, or undoes it.
    pub by: Vec<By>,
    /// There is more that does.
    pub more: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Allow,
    Deny,
    Exposure { published: bool },
    Link,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No packet is as it says.
    Nobody,
    /// All of it is open anyway; or denied anyway, by other denials.
    Anyway,
    /// Denials leave nothing of it.
    Cancelled,
    /// A denial of what is not open.
    Closed,
}

/// What does the same as a statement, or undoes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Statement(Span),
    Setting(Setting),
}

/// Finds all that could be taken out, as each host sees the policy; what stands at `gone` is taken for
/// taken out already. No more than `budget` edges are made for a family of a host.
pub fn surplus(
    policies: &[Policy],
    gone: &BTreeSet<Span>,
    budget: usize,
) -> Result<Vec<Surplus>, TooMany> {
    let spaces = Spaces(spaces(policies, budget));
    let statements = statements(&spaces, gone);
    if statements.len().saturating_mul(policies.len()) > MAX_STATEMENTS {
        return Err(TooMany);
    }
    if statements.is_empty() {
        return Ok(Vec::new());
    }
    let mut judge = Judge::new(spaces, statements);
    let found = judge.all();
    if judge.spaces.are_exhausted() {
        return Err(TooMany);
    }
    Ok(found)
}

/// Makes a space for each family of each host.
fn spaces(policies: &[Policy], budget: usize) -> Vec<Says<'_>> {
    let both = |policy| Family::BOTH.map(|family| space(policy, family, budget));
    policies.iter().flat_map(both).collect()
}

fn space(policy: &Policy, family: Family, budget: usize) -> Says<'_> {
    let names = interfaces(policy);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Says::new(Space::new(family, [], &names, budget), policy)
}

/// A statement as it is written, with the places of its parts.
#[derive(Debug)]
struct Statement {
    span: Span,
    kind: Kind,
    /// It writes to the log, too.
    logs: bool,
    /// It does more than to open something.
    stays: bool,
    parts: Vec<usize>,
}

/// Returns all statements but those that are gone, by place.
fn statements(spaces: &Spaces<'_>, gone: &BTreeSet<Span>) -> Vec<Statement> {
    let parts = spaces.0.first().map(Says::parts).unwrap_or_default();
    let mut found: BTreeMap<Span, Statement> = BTreeMap::new();
    for (at, part) in parts.into_iter().enumerate() {
        let new = statement(part);
        let statement = found.entry(new.span).or_insert(new);
        statement.parts.push(at);
    }
    found.retain(|span, _| !gone.contains(span));
    found.into_values().collect()
}

fn statement(part: Part<'_>) -> Statement {
    let (span, kind) = match part {
        Part::Access(access) => {
            let kind = match (access.effect, access.link) {
                (Effect::Deny, _) => Kind::Deny,
                (Effect::Allow, true) => Kind::Link,
                (Effect::Allow, false) => Kind::Allow,
            };
            (access.span, kind)
        }
        Part::Exposure(_, exposure) => {
            let published = exposure.published.is_some();
            (exposure.span, Kind::Exposure { published })
        }
    };
    let logs = matches!(part, Part::Exposure(_, exposure) if exposure.log);
    Statement {
        span,
        kind,
        logs,
        stays: logs || offers_to_host(part),
        parts: Vec::new(),
    }
}

/// A port that is published for the host has to say so, though the host may connect anyway.
fn offers_to_host(part: Part<'_>) -> bool {
    let Part::Exposure(_, exposure) = part else {
        return false;
    };
    exposure.published.is_some() && exposure.from.contains(&Party::Host)
}
