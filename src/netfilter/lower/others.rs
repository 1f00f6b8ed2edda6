//! What no line declares: the engine's other networks.
//!
//! They are known by the direction of a packet alone, since their names and addresses change: what
//! leaves by an engine's bridge must have come by one. What comes by one goes wherever the engine lets
//! it. Interfaces of others are left alone, among them those that are called as an engine's bridge but
//! lead elsewhere.

use super::Chains;
use super::ways::View;
use crate::netfilter::rule::{Interface, Origin, Rule, Service, Target};
use crate::netfilter::{ChainName, Table};
use crate::policy::ir::{ENGINE_BRIDGES, EnginePort, IfName, Others, Owner};

/// What concerns no declared network of this host.
pub(super) fn forwarded(chains: &mut Chains<'_, '_>, chain: &ChainName) {
    match chains.view.policy.host.others {
        Others::Closed(_) => closed(chains, chain),
        Others::Leave if is_unhelped(chains.view) => from_bridges(chains, chain),
        Others::Drop(_) => {
            let rule = refusal(chains, Table::Mangle);
            chains.push(Table::Mangle, chain, rule);
        }
        Others::Leave => {}
    }
}

fn closed(chains: &mut Chains<'_, '_>, chain: &ChainName) {
    let others = ChainName::fixed("OTHERS");
    let alike = called_alike(chains.view);
    let outer = ChainName::fixed("OUTER");
    let is_unhelped = is_unhelped(chains.view);
    if is_unhelped
        && !alike.is_empty()
        && !chains.rules.contains_key(&(Table::Mangle, outer.clone()))
    {
        from_bridges(chains, &outer);
    }
    for name in alike {
        let rule = Rule {
            output: Some(Interface::named(name)),
            target: if is_unhelped {
                Target::Goto(outer.clone())
            } else {
                Target::Return
            },
            ..Rule::default()
        };
        chains.push(Table::Mangle, chain, rule);
    }
    for bridge in bridges(chains.view) {
        let rule = Rule {
            output: Some(bridge),
            target: Target::Goto(others.clone()),
            ..Rule::default()
        };
        chains.push(Table::Mangle, chain, rule);
    }
    if !chains.rules.contains_key(&(Table::Mangle, others.clone())) {
        from_bridges_alone(chains, Table::Mangle, &others);
    }
    if is_unhelped {
        from_bridges(chains, chain);
    }
}

/// An engine that leaves IPv6 alone has no rule that lets it past a FORWARD policy of DROP, which the policy
/// wants: what comes by its bridges goes on as it did before.
fn is_unhelped(view: &View<'_>) -> bool {
    view.is_unhelped() && view.policy.undeclared.leaves_ipv6
}

/// Grants what comes by an engine's bridge.
fn from_bridges(chains: &mut Chains<'_, '_>, chain: &ChainName) {
    let free = ChainName::fixed("FREE");
    for name in called_alike(chains.view) {
        let rule = Rule {
            input: Some(Interface::named(name)),
            target: Target::Return,
            ..Rule::default()
        };
        chains.push(Table::Mangle, chain, rule);
    }
    for bridge in bridges(chains.view) {
        let rule = Rule {
            input: Some(bridge),
            target: Target::Goto(free.clone()),
            ..Rule::default()
        };
        chains.push(Table::Mangle, chain, rule);
    }
    fill_free(chains, &free);
}

fn fill_free(chains: &mut Chains<'_, '_>, free: &ChainName) {
    if chains.rules.contains_key(&(Table::Mangle, free.clone())) {
        return;
    }
    for target in [Target::SetMark, Target::SaveMark] {
        let rule = Rule {
            target,
            ..Rule::default()
        };
        chains.push(Table::Mangle, free, rule);
    }
}

/// What the engine has given to somebody else than the container for which a line opens it.
pub(super) fn taken(chains: &mut Chains<'_, '_>, chain: &ChainName) {
    for port in &chains.view.policy.undeclared.ports {
        if let (Owner::Taken(span), Some(rule)) = (&port.owner, to_port(chains.view, port)) {
            let says = format!(
                "host port {} leads to {}",
                port.published.ports, port.container
            );
            let origin = Origin {
                span: *span,
                says: says.into(),
            };
            let rule = Rule {
                target: chains.others_target(Table::Filter),
                origin: Some(origin),
                ..rule
            };
            chains.push(Table::Filter, chain, rule);
        }
    }
}

/// Published ports of containers that the policy does not know, where a process of the engine's may take
/// what its rules do not translate: open to its own networks alone.
pub(super) fn ports(chains: &mut Chains<'_, '_>, chain: &ChainName) {
    if chains.view.policy.host.others == Others::Leave {
        return;
    }
    let others = ChainName::fixed("OTHERS");
    for port in &chains.view.policy.undeclared.ports {
        let rule = to_port(chains.view, port);
        let Some(rule) = rule.filter(|_| matches!(port.owner, Owner::Undeclared)) else {
            continue;
        };
        if !chains.rules.contains_key(&(Table::Filter, others.clone())) {
            from_bridges_alone(chains, Table::Filter, &others);
        }
        let target = Target::Goto(others.clone());
        chains.push(Table::Filter, chain, Rule { target, ..rule });
    }
}

/// Returns what tells a packet to a published port: in both families where it is one of every address,
/// since a process listens in both wherever it can.
fn to_port(view: &View<'_>, port: &EnginePort) -> Option<Rule> {
    let address = port.published.address;
    if address.is_some_and(|it| it.is_loopback() || !view.family.has(it)) {
        return None;
    }
    Some(Rule {
        destination: address.map(Into::into),
        service: Some(Service::To(port.protocol, port.published.ports)),
        ..Rule::default()
    })
}

/// Fills a chain that only what comes by an engine's bridge leaves again.
fn from_bridges_alone(chains: &mut Chains<'_, '_>, table: Table, chain: &ChainName) {
    let refusal = refusal(chains, table);
    let passing = if table == Table::Mangle && is_unhelped(chains.view) {
        Target::Goto(ChainName::fixed("FREE"))
    } else {
        Target::Return
    };
    for name in called_alike(chains.view) {
        let input = Some(Interface::named(name));
        let rule = Rule {
            input,
            ..refusal.clone()
        };
        chains.push(table, chain, rule);
    }
    for bridge in bridges(chains.view) {
        let rule = Rule {
            input: Some(bridge),
            target: passing.clone(),
            ..Rule::default()
        };
        chains.push(table, chain, rule);
    }
    chains.push(table, chain, refusal);
}

fn refusal(chains: &mut Chains<'_, '_>, table: Table) -> Rule {
    let (written, says) = match chains.view.policy.host.others {
        Others::Closed(written) => (written, "the engine's other networks are closed"),
        Others::Drop(written) => (Some(written), "nothing else passes"),
        Others::Leave => (None, ""),
    };
    let says = says.into();
    Rule {
        target: chains.others_target(table),
        origin: written.map(|span| Origin { span, says }),
        ..Rule::default()
    }
}

/// Returns interfaces of others whose names begin as those of an engine's bridges, each once.
fn called_alike<'p>(view: &View<'p>) -> Vec<&'p IfName> {
    let policy = view.policy;
    let mut found: Vec<&IfName> = policy.elsewhere().collect();
    found.retain(|it| is_called_alike(it) && !policy.is_engines(&it.0));
    found.sort_unstable();
    found.dedup();
    found
}

/// Returns the engine's bridges that no line declares, and all that may be called so.
fn bridges(view: &View<'_>) -> Vec<Interface> {
    let known = view.policy.undeclared.bridges.iter();
    let mut known: Vec<&IfName> = known.filter(|name| !is_called_alike(name)).collect();
    known.sort_unstable();
    known.dedup();
    let known = known.into_iter().map(Interface::named);
    let all = ENGINE_BRIDGES
        .iter()
        .map(|start| Interface::beginning(start));
    known.chain(all).collect()
}

fn is_called_alike(name: &IfName) -> bool {
    let mut starts = ENGINE_BRIDGES.iter();
    starts.any(|start| name.0.starts_with(start))
}
