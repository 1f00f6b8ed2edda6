//! `limit` on an exposure: how fast, and how often at once, one source or all may connect.
//!
//! A limited exposure has a chain of its own, so that all who may use it share its counters. What is
//! over a limit ends there; what another statement has granted already passes unlimited.

use super::{Chains, exposure_log, limit_period};
use crate::hash::sha256;
use crate::netfilter::rule::{Origin, Over, Rule, Target};
use crate::netfilter::{ChainName, Family, Table};
use crate::policy::ir::{ContainerId, Exposure};

/// What a subscriber usually has: whoever has one address of it has all (RFC 6177).
const SOURCE_V6: u8 = 64;
const SOURCE_V4: u8 = 32;

/// Appends the rules of an exposure with their verdict, by way of its limits where it has any.
pub(super) fn push(
    chains: &mut Chains<'_, '_>,
    (table, chain): (Table, &ChainName),
    (container, exposure): (ContainerId, &Exposure),
    rules: Vec<Rule>,
    verdict: &Target,
) {
    let log = exposure_log(chains.view, container, exposure);
    if exposure.limits.is_none() || rules.is_empty() {
        return chains.push_logged(table, chain, rules, verdict, log.as_ref());
    }
    let own = own_chain(chains, container, exposure, verdict);
    if !chains.rules.contains_key(&(table, own.clone())) {
        fill(chains, (table, &own), (container, exposure), verdict);
    }
    chains.push_all(table, chain, rules, &Target::Goto(own));
}

/// All ports of one statement have one chain, and another where they are granted.
fn own_chain(
    chains: &Chains<'_, '_>,
    container: ContainerId,
    exposure: &Exposure,
    verdict: &Target,
) -> ChainName {
    let part = match verdict {
        Target::SetMark => "grant",
        _ => "limit",
    };
    let name = &chains.view.container(container).name;
    ChainName::of_network(
        name,
        &format!("{part}{}", number(chains, container, exposure)),
    )
}

/// Returns the place of an exposure's statement among those of its container, from 1.
fn number(chains: &Chains<'_, '_>, container: ContainerId, exposure: &Exposure) -> usize {
    let exposures = &chains.view.container(container).exposures;
    let mut before: Vec<_> = exposures.iter().map(|it| it.span).collect();
    before.dedup();
    let found = before.iter().position(|span| *span == exposure.span);
    found.map_or(0, |at| at + 1)
}

fn fill(
    chains: &mut Chains<'_, '_>,
    (table, own): (Table, &ChainName),
    (container, exposure): (ContainerId, &Exposure),
    verdict: &Target,
) {
    let says = format!(
        "the limits of {}",
        chains.view.say_port(container, exposure)
    );
    let span = exposure.span;
    let rule = |target| Rule {
        target,
        origin: Some(Origin {
            span,
            says: says.as_str().into(),
        }),
        ..Rule::default()
    };
    let granted = |target| Rule {
        mark: true,
        ..rule(target)
    };
    let mut rules = Vec::new();
    if table == Table::Mangle {
        rules.extend([granted(Target::SaveMark), granted(Target::Return)]);
    }
    let name = bucket(chains, container, exposure);
    for over in overs(chains.view.family, exposure, &name) {
        let over = Some(over);
        let target = closed(chains, table, container);
        rules.push(Rule {
            over,
            ..rule(target)
        });
    }
    rules.extend(exposure_log(chains.view, container, exposure).map(rule));
    if *verdict == Target::SetMark {
        rules.extend([rule(Target::SetMark), rule(Target::SaveMark)]);
    }
    rules.push(rule(Target::Return));
    for rule in rules {
        chains.push(table, own, rule);
    }
}

fn closed(chains: &mut Chains<'_, '_>, table: Table, container: ContainerId) -> Target {
    let home = chains.view.container(container).attachments.first();
    home.map_or(Target::Drop, |home| chains.drop_target(table, home.network))
}

/// Names the kernel's counters: the same in each chain of an exposure, so that they are one. At most
/// 15 bytes, as older kernels want it (`IFNAMSIZ` in `xt_hashlimit.h`).
fn bucket(chains: &Chains<'_, '_>, container: ContainerId, exposure: &Exposure) -> String {
    let name = &chains.view.container(container).name;
    let number = number(chains, container, exposure);
    let hash = sha256(format!("{name}/{number}").as_bytes());
    format!("tide-{}", hash.get(..10).unwrap_or_default())
}

fn overs(family: Family, exposure: &Exposure, name: &str) -> Vec<Over> {
    let limits = &exposure.limits;
    let whole = match family {
        Family::V4 => SOURCE_V4,
        Family::V6 => SOURCE_V6,
    };
    let rate = limits.rate.map(|limit| Over::Rate {
        period: limit_period(limit.rate, 1_000_000),
        burst: limit.burst,
        sources: limit.per_source.then_some(whole),
        name: name.to_owned(),
    });
    let connections = limits.connections.map(|limit| Over::Connections {
        count: limit.count,
        sources: if limit.per_source { whole } else { 0 },
    });
    rate.into_iter().chain(connections).collect()
}
