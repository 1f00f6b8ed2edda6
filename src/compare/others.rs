//! Rules of others that drop what the policy opens.

use std::collections::BTreeMap;

use super::World;
use super::outside::{faces, own, stranger};
use crate::artifact::Opening;
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::facts::PublishedPort;
use crate::netfilter::dump::States;
use crate::netfilter::trace::{End, Event, Machine, Probe, Trace, traces};

/// The beginning of the names of tidegate's own chains.
const OURS: &str = "TIDE-";

/// Returns a warning for each rule that stops connections which stand for what the policy opens.
pub(super) fn compare(
    world: World<'_>,
    openings: &[Opening],
    machines: &[Machine],
) -> Vec<Finding> {
    let mut stopped: BTreeMap<String, Vec<&Opening>> = BTreeMap::new();
    for opening in openings.iter().filter(|it| is_there(world, it)) {
        let machine = machines.iter().find(|it| it.family == opening.family);
        let rule = machine.and_then(|machine| stops(machine, &probe(world, opening, machine)?));
        if let Some(rule) = rule {
            stopped.entry(rule).or_default().push(opening);
        }
    }
    let finding = |(rule, all): (String, Vec<&Opening>)| finding(&rule, &all);
    stopped.into_iter().map(finding).collect()
}

/// Tells whether there is anything to connect to. Where Docker's own nftables translate, nobody follows a
/// packet to its container.
fn is_there(world: World<'_>, opening: &Opening) -> bool {
    let Some(name) = &opening.container else {
        return true;
    };
    let native = world.facts.settings.as_ref().is_some_and(|it| it.nftables);
    let is_it = |port: &PublishedPort| port.host == opening.port && port.is_in(opening.family);
    let facts = world.facts.containers.get(name).filter(|_| !native);
    facts.is_some_and(|facts| facts.ports.iter().any(is_it))
}

fn probe(world: World<'_>, opening: &Opening, machine: &Machine) -> Option<Probe> {
    let source = opening
        .from
        .or_else(|| stranger(world.policy, machine.family))?;
    let input = match (&opening.by, opening.from) {
        (Some(bridge), _) => machine
            .interfaces
            .iter()
            .any(|it| it.name == *bridge)
            .then(|| bridge.clone())?,
        (None, Some(source)) => machine.route(source)?.to_owned(),
        (None, None) => uplink(world, machine)?,
    };
    let destination = opening.to.or_else(|| own(machine, &input))?;
    Some(Probe {
        input: Some(input),
        source,
        destination,
        protocol: match opening.protocol.as_str() {
            "sctp" => 132,
            "udp" => 17,
            _ => 6,
        },
        source_port: 40_000,
        port: opening.port,
        icmp: (0, 0),
        tcp_flags: 2,
        state: States::NEW,
        mark: 0,
        connmark: 0,
    })
}

/// Returns the interface by which a stranger comes: the first uplink, else the way to everybody.
fn uplink(world: World<'_>, machine: &Machine) -> Option<String> {
    let mut uplinks = world.policy.host.uplinks.iter().map(|it| it.0.clone());
    let faces = faces(world, machine);
    let default = stranger(world.policy, machine.family).and_then(|it| machine.route(it));
    let default = default.map(str::to_owned).filter(|it| faces.contains(it));
    uplinks.find(|it| faces.contains(it)).or(default)
}

/// Returns the rule of others that stops a connection, if nothing lets it through on any way.
fn stops(machine: &Machine, probe: &Probe) -> Option<String> {
    let ways = traces(machine, probe);
    let is_stopped = |way: &Trace| matches!(way.end, End::Dropped | End::Rejected(_));
    if !ways.iter().all(is_stopped) {
        return None;
    }
    ways.iter().find_map(|way| {
        let last = way
            .steps
            .last()
            .filter(|step| !step.chain.starts_with(OURS))?;
        let family = machine.family;
        match last.event {
            Event::Rule(number) => Some(format!(
                "{family} {} {}, rule {number}",
                last.table, last.chain
            )),
            Event::Policy => Some(format!(
                "{family} {} {}, its policy",
                last.table, last.chain
            )),
            Event::Hook => None,
        }
    })
}

fn finding(rule: &str, stopped: &[&Opening]) -> Finding {
    let first = stopped.first();
    let says = first.map_or("", |it| it.says.as_str());
    let more = match stopped.len() {
        0 | 1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let place = first.map_or("", |it| it.source.as_str());
    Finding::new(
        code::OTHERS_DROP,
        Weight::Warning,
        format!("what the policy opens is dropped by others: {says}{more}"),
    )
    .at(format!("{rule}; {place} in the policy"))
    .why("tidegate's own rules let it through, and nobody gets it all the same")
    .remedy("accept it there, too, or take the line out of the policy")
}
