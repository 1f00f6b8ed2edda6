//! Names in a list of sources that add nobody to the others.

use std::collections::HashSet;

use super::cover::{Item, Row, Spaces, is_nothing};
use super::{TooMany, spaces};
use crate::diagram::Budget;
use crate::meaning::policy::Says;
use crate::policy::ir::{Party, Policy};
use crate::source::Span;

/// Somebody in a list, all of whose packets others in it send, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spare {
    /// The name, or the whole statement where its place is not known.
    pub span: Span,
    pub party: Party,
    /// The one that holds it all, where one alone does.
    pub within: Option<Party>,
}

/// Finds who adds nobody to the others in a left side or a `from`, in both families and on every host.
/// Lists with `any` or with somebody twice are told elsewhere.
pub fn spare_sources(policies: &[Policy], budget: &Budget) -> Result<Vec<Spare>, TooMany> {
    let Some(policy) = policies.first() else {
        return Ok(Vec::new());
    };
    let mut spaces = Spaces(spaces(policies, budget));
    let lies = spaces.0.iter_mut().map(Says::false_sources).collect();
    let mut found = Vec::new();
    for (span, list) in lists(policy) {
        let spare = spare(&mut spaces, list, &lies);
        found.extend(spare.into_iter().map(|(at, party, within)| Spare {
            span: policy.left_name(span, at),
            party,
            within,
        }));
    }
    if spaces.are_exhausted() {
        return Err(TooMany);
    }
    Ok(found)
}

fn lists(policy: &Policy) -> Vec<(Span, &[Party])> {
    let accesses = policy.accesses.iter();
    let mut all: Vec<_> = accesses.map(|it| (it.span, &*it.left)).collect();
    let exposures = policy.containers.iter().flat_map(|it| &it.exposures);
    all.extend(exposures.map(|it| (it.span, it.from.as_slice())));
    // Links and lists of ports are several things with one list.
    all.dedup_by_key(|(span, _)| *span);
    all.retain(|(_, list)| {
        let parties: HashSet<&Party> = list.iter().collect();
        list.len() > 1 && parties.len() == list.len() && !parties.contains(&Party::Any)
    });
    all
}

/// Returns places in the list, who is there, and who alone holds it all.
fn spare(
    spaces: &mut Spaces<'_>,
    list: &[Party],
    lies: &Row,
) -> Vec<(usize, Party, Option<Party>)> {
    let senders = list.iter().map(|it| sender(spaces, *it, lies));
    let senders: Vec<Row> = senders.collect();
    let items = senders.iter().map(|row| Item {
        all: row.clone(),
        surely: row.clone(),
        // Nobody at all is no matter of the others.
        stays: is_nothing(row),
    });
    let mut items: Vec<Item> = items.collect();
    let mut needless = spaces.needless(&mut items);
    needless.sort_unstable();
    let mut found = Vec::new();
    for at in needless {
        let Some((party, row)) = list.get(at).zip(senders.get(at)) else {
            continue;
        };
        let mut others = list.iter().zip(&senders).filter(|(it, _)| *it != party);
        let within = others.find(|(_, other)| is_nothing(&spaces.except(row, other)));
        found.push((at, *party, within.map(|(it, _)| *it)));
    }
    found
}

/// Returns what somebody may send, but for what is false before anybody looks at statements.
fn sender(spaces: &mut Spaces<'_>, party: Party, lies: &Row) -> Row {
    let sent = spaces.0.iter_mut().map(|says| says.source(party)).collect();
    spaces.except(&sent, lies)
}
