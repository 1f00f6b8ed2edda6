//! What there is to say about a word.

use std::fmt::Write;

use super::context::Context;
use super::project::Project;
use crate::policy::ir::{Container, Exposure, Network, Policy, Protocol, Trust};
use crate::question::{Cell, Words, matrix_text};
use crate::source::SourceId;
use crate::syntax::ast::{Expose, File, Item};
use crate::syntax::keyword;

/// Most addresses and lines that are shown.
const MOST: usize = 24;

/// Says in Markdown what a name stands for; `good` is the policy as it last had no mistake.
pub(super) fn name(name: &str, good: Option<&Project>) -> Option<String> {
    match name {
        "any" => return Some("`any`: everybody, this host too".to_owned()),
        "outside" => return Some("`outside`: what arrives by an uplink".to_owned()),
        "host" => return Some("`host`: the machine itself".to_owned()),
        _ => {}
    }
    let project = good?;
    let policy = project.compiled.policies.first()?;
    let trust = policy.trusts.iter().find(|it| it.name == name);
    let network = policy.networks.iter().find(|it| it.name == name);
    let container = policy.containers.iter().find(|it| it.name == name);
    trust
        .map(self::trust)
        .or_else(|| network.map(|it| self::network(it, policy)))
        .or_else(|| container.map(|it| self::container(it, policy, project)))
}

/// Says who reaches an exposed port.
pub(super) fn exposure(
    file: &File,
    source: SourceId,
    offset: usize,
    good: &Project,
) -> Option<String> {
    let containers = file.items.iter().filter_map(|item| match item {
        Item::Container(container) => Some(container),
        _ => None,
    });
    let (container, expose) = containers
        .flat_map(|it| it.exposures.iter().map(move |expose| (it, expose)))
        .find(|(_, expose)| holds(expose, source, offset))?;
    let name = &container.name.node;
    let policy = good.compiled.policies.first()?;
    let known = policy.containers.iter().find(|it| it.name == *name)?;
    let ports: Vec<&Exposure> = known
        .exposures
        .iter()
        .filter(|it| is_of(expose, it))
        .collect();
    let cells = good.matrix().iter().filter(|cell| cell.to == *name);
    let cells: Vec<Cell> = cells.filter(|cell| about(cell, &ports)).cloned().collect();
    Some(format!(
        "Who reaches this port of `{name}`:\n{}",
        table(&cells)
    ))
}

fn holds(expose: &Expose, source: SourceId, offset: usize) -> bool {
    let span = expose.span;
    span.source == source && (span.start as usize..=span.end as usize).contains(&offset)
}

/// Tells whether an exposure comes from a statement, which may have moved since.
fn is_of(expose: &Expose, exposure: &Exposure) -> bool {
    let (first, last) = (exposure.ports.first, exposure.ports.last);
    let same = |range: &crate::syntax::ast::PortRange| {
        range.first == u32::from(first) && range.last == u32::from(last)
    };
    let ports = &expose.service.ports;
    expose.service.protocol.node == exposure.protocol
        && (ports.is_empty() || ports.iter().any(|range| same(&range.node)))
}

/// Tells whether a cell speaks of an exposure's ports: by the host those where it is published.
fn about(cell: &Cell, ports: &[&Exposure]) -> bool {
    let words = [&cell.all, &cell.limited, &cell.some];
    let mut words = words.into_iter().flatten();
    words.any(|words| ports.iter().any(|port| has(words, port, cell.by_host)))
}

fn has(words: &Words, exposure: &Exposure, by_host: bool) -> bool {
    let published = exposure.published.as_ref().map(|it| it.ports);
    let Some(ports) = (if by_host {
        published
    } else {
        Some(exposure.ports)
    }) else {
        return false;
    };
    let any = |all: &[String]| {
        let mut all = all.iter();
        all.any(|word| covers(word, exposure.protocol, ports.first, ports.last))
    };
    any(&words.these) && !any(&words.except)
}

/// Tells whether a word of the matrix has a port of a range in it; `any` and `tcp` have all.
fn covers(word: &str, protocol: Protocol, first: u16, last: u16) -> bool {
    let Some((ports, named)) = word.split_once('/') else {
        return word == "any" || word == title(protocol);
    };
    let (low, high) = ports.split_once('-').unwrap_or((ports, ports));
    let (Ok(low), Ok(high)) = (low.parse::<u16>(), high.parse::<u16>()) else {
        return false;
    };
    named == title(protocol) && low <= last && first <= high
}

fn title(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Icmp => "icmp",
        Protocol::Sctp => "sctp",
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

fn table(cells: &[Cell]) -> String {
    let shown = cells.get(..MOST).unwrap_or(cells);
    let more = match cells.len() - shown.len() {
        0 => String::new(),
        more => format!("and {more} more\n"),
    };
    format!("```text\n{}{more}```", matrix_text(shown))
}

fn trust(trust: &Trust) -> String {
    let four = trust.set.v4_prefixes();
    let six = trust.set.v6_prefixes();
    let all = four.iter().map(ToString::to_string);
    let all: Vec<String> = all.chain(six.iter().map(ToString::to_string)).collect();
    let mut text = format!(
        "trust `{}`: {}\n",
        trust.name,
        count(all.len(), "prefix", "prefixes")
    );
    text.push_str("```text\n");
    for prefix in all.iter().take(MOST) {
        let _ = writeln!(text, "{prefix}");
    }
    if all.len() > MOST {
        let _ = writeln!(text, "and {} more", all.len() - MOST);
    }
    text + "```"
}

fn count(number: usize, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!("{number} {word}")
}

fn network(network: &Network, policy: &Policy) -> String {
    let on = |flag: bool| if flag { "on" } else { "off" };
    let subnets: Vec<String> = network.subnets.iter().map(ToString::to_string).collect();
    let here = policy.containers.iter().filter(|container| {
        let mut attached = container.attachments.iter();
        attached.any(|at| {
            policy
                .networks
                .get(at.network.0)
                .is_some_and(|it| it.name == network.name)
        })
    });
    let here: Vec<&str> = here.map(|container| container.name.as_str()).collect();
    let containers = match here.len() {
        0 => "no containers".to_owned(),
        _ if here.len() > MOST => format!("{} containers", here.len()),
        _ => here.join(", "),
    };
    format!(
        "network `{}`: bridge `{}`, {}\n\nicc {}, egress {}, host-access {}, antispoof {}\n\n{containers}",
        network.name,
        network.bridge.0,
        subnets.join(", "),
        on(network.icc),
        on(network.egress),
        on(network.host_access),
        on(network.antispoof),
    )
}

fn container(container: &Container, policy: &Policy, project: &Project) -> String {
    let mut text = format!("container `{}`", container.name);
    for at in &container.attachments {
        let network = policy.networks.get(at.network.0);
        let addresses: Vec<String> = at.addresses.iter().map(ToString::to_string).collect();
        let addresses = match addresses.len() {
            0 => "an address of the engine's choice".to_owned(),
            _ => addresses.join(", "),
        };
        let network = network.map_or("", |it| it.name.as_str());
        let _ = write!(text, " on `{network}` at {addresses}");
    }
    let cells = project
        .matrix()
        .iter()
        .filter(|cell| cell.to == container.name);
    let cells: Vec<Cell> = cells.cloned().collect();
    text + "\n\nWho reaches it:\n" + &table(&cells)
}

/// Says how the statement is written that a word starts.
pub(super) fn keyword(text: &str, offset: usize) -> Option<String> {
    let context = Context::at(text, offset)?;
    let rest = text.get(context.start..)?;
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let word = rest.split(|c| !letter(c)).next()?;
    if !context.before.is_empty() {
        return None;
    }
    let block = match context.block {
        None => keyword::Context::File,
        Some("container") => keyword::Context::Container,
        Some("host") => keyword::Context::Host,
        Some("network") => keyword::Context::Network,
        Some("trust") => keyword::Context::Trust,
        Some(_) => return None,
    };
    let (_, form) = block.exactly(word)?;
    Some(format!("```tide\n{form}\n```"))
}
