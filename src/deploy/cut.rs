//! Connections that the rules in force would not let begin.
//!
//! A connection is cut when its first packet, sent now as the first of a new one, would be stopped by a
//! chain of ours: in the direction it was made in, to where the kernel translates it already, past the
//! machine's rules as they are after loading, those of others included. What the rules before said is
//! not asked: a kill between loading and cutting would else leave open what the next apply takes for
//! old. It is left alone where
//!
//! - any of its ways lets it through, as with a limit whose tokens only the kernel counts;
//! - nothing of ours stops it on any way, but a rule of others or a missing route does;
//! - it was announced by a connection that may stay, as FTP announces its data.
//!
//! It is taken to arrive by the interface that leads back to its source.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use super::error::Problem;
use super::state::is_tide;
use crate::artifact::{Bundle, ContainerEntry, OriginEntry, Origins, Parties};
use crate::host::{Ends, Flow, Host};
use crate::netfilter::dump::States;
use crate::netfilter::trace::{End, Event, MAX_ENDS, Machine, Probe, Step, Trace, traces_to};
use crate::netfilter::{Family, Table};
use crate::question::of_live;

const TCP: u8 = 6;
const UDP: u8 = 17;
/// In the kernel's ip-sysctl: whether a packet amid a TCP connection may begin one for the kernel.
const LOOSE: &str = "net/netfilter/nf_conntrack_tcp_loose";
/// How many are told one by one.
const TOLD: usize = 5;
/// A packet that was under way while the rules changed may have made one more; and no more than one.
const ROUNDS: usize = 3;

/// A rule that a packet met: its table, its chain, and its number in it, from 1.
type Met = (&'static str, String, usize);

/// A connection that the rules would not let begin, and where that is decided.
#[derive(Debug)]
pub struct Doomed<'f> {
    pub flow: &'f Flow,
    /// In the hook that stops it.
    steps: Vec<Met>,
}

/// Returns those of the connections that the rules of a machine would not let begin.
pub fn doomed<'f>(machine: &Machine, flows: &'f [Flow]) -> Vec<Doomed<'f>> {
    // Clients differ in their ports alone, and no rule of ours looks at those.
    let mut known = BTreeMap::new();
    let mut found = Vec::new();
    for flow in flows.iter().filter(|flow| flow.family == machine.family) {
        let (ends, to) = match flow.master {
            Some(master) => (master, (master.destination, master.port)),
            None => (flow.ends, flow.to),
        };
        let key = Ends {
            source_port: 0,
            ..ends
        };
        let steps = known
            .entry((key, to))
            .or_insert_with(|| stopped(machine, &ends, to));
        found.extend(steps.clone().map(|steps| Doomed { flow, steps }));
    }
    found
}

/// Tells whether the rules of a machine would not let a connection to one of its own ports begin.
pub(super) fn would_end(machine: &Machine, ends: &Ends) -> bool {
    stopped(machine, ends, (ends.destination, ends.port)).is_some()
}

/// Returns the rules that stop a connection if some of ours do on one of its ways, and it gets through
/// on none.
fn stopped(machine: &Machine, ends: &Ends, to: (IpAddr, u16)) -> Option<Vec<Met>> {
    let input = if machine.is_local(ends.source) {
        None
    } else {
        Some(machine.route(ends.source)?.to_owned())
    };
    let probe = Probe {
        input,
        source: ends.source,
        destination: ends.destination,
        protocol: ends.protocol,
        source_port: ends.source_port,
        port: ends.port,
        icmp: ends.icmp,
        tcp_flags: 2,
        state: States::NEW,
        mark: 0,
        connmark: 0,
    };
    let ways = traces_to(machine, &probe, to);
    let is_stopped = |way: &Trace| !way.end.arrives() && !is_unknown(&way.end);
    if ways.len() >= MAX_ENDS || !ways.iter().all(is_stopped) {
        return None;
    }
    ways.iter().find_map(by_ours)
}

fn is_unknown(end: &End) -> bool {
    matches!(end, End::Unknown(_) | End::Endless)
}

/// Returns the rules of ours that a packet met in the hook that stopped it, if one of them did.
fn by_ours(way: &Trace) -> Option<Vec<Met>> {
    if !matches!(way.end, End::Dropped | End::Rejected(_)) {
        return None;
    }
    let is_hook = |step: &&Step| step.event == Event::Hook;
    let hook = way.steps.iter().rposition(|step| is_hook(&step))?;
    let last = way.steps.last().filter(|step| is_tide(&step.chain))?;
    let Event::Rule(_) = last.event else {
        return None;
    };
    let steps = way.steps.iter().skip(hook);
    let rules = steps.filter_map(|step| match step.event {
        Event::Rule(number) => Some((step.table, step.chain.clone(), number)),
        Event::Hook | Event::Policy => None,
    });
    Some(rules.collect())
}

impl Doomed<'_> {
    /// Returns the line of the policy that decided.
    fn source<'b>(&self, origins: &'b Origins) -> Option<&'b OriginEntry> {
        self.steps.iter().rev().find_map(|(table, chain, rule)| {
            let table = Table::ALL.into_iter().find(|it| it.name() == *table)?;
            origins.rule(self.flow.family, table, chain, *rule)
        })
    }

    fn text(&self, (parties, origins): (&Parties, &Origins)) -> String {
        let ends = &self.flow.ends;
        let (to, port) = self.flow.to;
        let (from, to) = (named(parties, ends.source), named(parties, to));
        let mut text = match ends.protocol {
            TCP => format!("{from} -> {to} : {port}/tcp"),
            UDP => format!("{from} -> {to} : {port}/udp"),
            other => format!("{from} -> {to}, protocol {other}"),
        };
        if let Some(entry) = self.source(origins) {
            // Writing to a String cannot fail.
            let _ = write!(text, ", {}: {}", entry.source, entry.says);
        }
        text
    }
}

/// Returns an address with the container or the network of the policy that it belongs to.
fn named(parties: &Parties, address: IpAddr) -> String {
    let has = |entry: &&ContainerEntry| {
        let mut all = entry.networks.iter().flat_map(|at| &at.addresses);
        all.any(|own| *own == address)
    };
    let container = parties.containers.iter().find(has).map(|it| &it.name);
    let mut networks = parties.networks.iter();
    let network = networks.find(|it| it.subnets.iter().any(|net| net.contains(&address)));
    match container.or(network.map(|it| &it.name)) {
        Some(name) => format!("{name} ({address})"),
        None => address.to_string(),
    }
}

/// What became of connections when rules changed.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) notes: Vec<String>,
    /// Why they could not be cut.
    pub(super) failed: Option<Problem>,
}

/// Cuts all connections that the rules in force would not let begin.
pub(super) fn cut(host: &dyn Host, bundle: &Bundle) -> Cut {
    let mut told = Told::default();
    let ended = (0..ROUNDS).try_for_each(|_| match round(host, bundle, &mut told) {
        Ok(true) => Ok(()),
        Ok(false) => Err(None),
        Err(problem) => Err(Some(problem)),
    });
    Cut {
        notes: told.notes(),
        failed: ended.err().flatten(),
    }
}

/// Cuts what there is to cut, and returns whether there was anything.
fn round(host: &dyn Host, bundle: &Bundle, told: &mut Told) -> Result<bool, Problem> {
    let flows = host.flows()?;
    let mut any = false;
    for family in super::converge::families(host) {
        if !flows.iter().any(|flow| flow.family == family) {
            continue;
        }
        let machine = machine(host, family)?;
        let doomed = doomed(&machine, &flows);
        if doomed.is_empty() {
            continue;
        }
        any = true;
        told.tighten(host, bundle, &doomed)?;
        let all: Vec<&Flow> = doomed.iter().map(|doomed| doomed.flow).collect();
        told.count += host.cut(&all)?;
        told.tell(bundle, &doomed);
    }
    Ok(any)
}

fn machine(host: &dyn Host, family: Family) -> Result<Machine, Problem> {
    let (rules, addresses) = (host.save(family)?, host.addresses()?);
    let machine = of_live(&rules, &addresses, &host.routes(family)?, family);
    machine.map_err(|error| Problem::Flows(error.to_string()))
}

#[derive(Default)]
struct Told {
    count: usize,
    texts: Vec<String>,
    more: Vec<String>,
    /// Why names and lines are missing.
    unread: Option<String>,
}

impl Told {
    /// Keeps the kernel from taking up a TCP connection again that it has forgotten: the next packet of
    /// the server, who may reach the client, would begin it anew the other way round.
    fn tighten(
        &mut self,
        host: &dyn Host,
        bundle: &Bundle,
        doomed: &[Doomed<'_>],
    ) -> Result<(), Problem> {
        let has_tcp = doomed.iter().any(|it| it.flow.ends.protocol == TCP);
        let is_loose = has_tcp && host.sysctl(LOOSE)?.is_some_and(|now| now.trim() != "0");
        if !is_loose {
            return Ok(());
        }
        let mut settings = bundle.manifest().sysctls.iter();
        let own = settings.find(|entry| entry.key.replace('.', "/") == LOOSE);
        if let Some(entry) = own {
            self.more.push(format!(
                "{}: {} lets what was cut begin again amid a connection, where its server may reach its client",
                entry.source, entry.key
            ));
            return Ok(());
        }
        host.set_sysctl(LOOSE, "0")?;
        self.more.push(
            "net.netfilter.nf_conntrack_tcp_loose is 0 until the next boot: with 1, packets amid a \
             connection that was cut could begin it again"
                .to_owned(),
        );
        Ok(())
    }

    /// Keeps what is to be told; a bundle without its words is no reason to leave connections open.
    fn tell(&mut self, bundle: &Bundle, doomed: &[Doomed<'_>]) {
        let words = bundle.parties().and_then(|it| Ok((it, bundle.origins()?)));
        let room = TOLD.saturating_sub(self.texts.len());
        let doomed = doomed.iter().take(room);
        match words {
            Ok(words) => self.texts.extend(doomed.map(|it| it.text(words))),
            Err(error) => {
                let nothing = (&Parties::default(), &Origins::default());
                self.texts.extend(doomed.map(|it| it.text(nothing)));
                self.unread = Some(error.to_string());
            }
        }
    }

    fn notes(mut self) -> Vec<String> {
        self.more.extend(self.unread.take());
        if self.count == 0 {
            return self.more;
        }
        let (noun, those) = if self.count == 1 {
            ("connection", "was cut that the policy does not")
        } else {
            ("connections", "were cut that the policy does not")
        };
        let mut text = format!("{} {noun} {those} allow:", self.count);
        for line in &self.texts {
            let _ = write!(text, "\n      {line}");
        }
        if self.count > self.texts.len() {
            let _ = write!(text, "\n      and {} more", self.count - self.texts.len());
        }
        let mut notes = vec![text];
        notes.extend(self.more);
        notes
    }
}
