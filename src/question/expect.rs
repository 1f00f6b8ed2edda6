//! Do the rules keep what the policy expects? Asked of every first packet of a connection that an
//! `expect` is about, on the machine of each host that it passes.

use std::net::IpAddr;

use super::machine::{of_policy, placed};
use super::names::Names;
use super::probe::probe;
use super::reasons::{Reason, reason};
use super::region::Region;
use crate::diagram::{Budget, Instead, Level, Node};
use crate::meaning::{Atom, Field, Journey, Space, bits, interfaces};
use crate::net::Family;
use crate::netfilter::trace::{Machine, Probe};
use crate::policy::ir::{Expectation, Party, Policy};
use crate::source::Span;

/// An `expect` that the rules do not keep.
#[derive(Debug, Clone)]
pub struct Unkept {
    pub span: Span,
    pub why: Why,
}

#[derive(Debug, Clone)]
pub enum Why {
    /// A packet that is to arrive and does not, or arrives and is not to.
    Packet {
        host: Option<String>,
        packet: String,
        /// What becomes of it, and by which line.
        reason: Reason,
    },
    /// No packet is about it.
    Nobody,
    /// It takes more steps than are given.
    NotKnown,
}

/// One host of a policy: what it sees of it, and its rules in each family.
#[derive(Debug, Clone, Copy)]
pub struct HostRules<'h> {
    pub policy: &'h Policy,
    pub rules: [&'h str; 2],
}

/// Steps that asking one of a host's families stands for, beside those of its functions.
const STEPS_EACH: u64 = 20_000;

/// Returns the expectations that do not hold, with a packet for each. What limits of exposures keep off is
/// no matter here: `allowed` means up to them.
pub fn unkept(hosts: &[HostRules<'_>], budget: &Budget) -> Vec<Unkept> {
    let count = hosts
        .first()
        .map_or(0, |host| host.policy.expectations.len());
    if count == 0 {
        return Vec::new();
    }
    let mut judged: Vec<Judgement> = vec![Judgement::default(); count];
    for host in hosts {
        for (family, rules) in Family::BOTH.into_iter().zip(host.rules) {
            judge(host, (rules, family), budget, &mut judged);
        }
    }
    let all = hosts
        .iter()
        .flat_map(|host| host.policy.expectations.iter().map(|it| (host.policy, it)));
    let all = all.zip(judged);
    all.filter_map(|((policy, expected), judgement)| {
        judgement.verdict(expected, is_of_nobody(policy, expected))
    })
    .collect()
}

fn is_of_nobody(policy: &Policy, expected: &Expectation) -> bool {
    let is_empty = |party: Party| match party {
        Party::Trust(id) => policy.trusts.get(id.0).is_some_and(|it| it.set.is_empty()),
        _ => false,
    };
    is_empty(expected.left) || is_empty(expected.right)
}

/// What all hosts say of one expectation so far, for each family.
#[derive(Debug, Clone, Default)]
struct Judgement {
    families: [Hosts; 2],
    not_known: bool,
}

#[derive(Debug, Clone, Default)]
struct Hosts {
    /// Hosts that packets of it pass.
    asked: usize,
    /// Those that speak against it.
    broken: Vec<Why>,
}

impl Judgement {
    /// `is_of_nobody` says that a set is empty of which something is expected: a warning told so already.
    fn verdict(self, expected: &Expectation, is_of_nobody: bool) -> Option<Unkept> {
        let span = expected.span;
        let because = |why| Some(Unkept { span, why });
        if self.not_known {
            return because(Why::NotKnown);
        }
        if is_of_nobody {
            return None;
        }
        if self.families.iter().all(|hosts| hosts.asked == 0) {
            return because(Why::Nobody);
        }
        // What arrives has to pass every host on its way, and one that stops it is enough.
        let fails = |hosts: &Hosts| {
            let all = hosts.broken.len() == hosts.asked;
            !hosts.broken.is_empty() && (expected.allowed || all)
        };
        let failed = self.families.into_iter().find(fails)?;
        failed.broken.into_iter().next().and_then(because)
    }
}

/// Tells whether packets of an expectation pass a host: one of its networks is on either side, or no
/// network at all is meant.
fn is_asked(policy: &Policy, expected: &Expectation) -> bool {
    let sides = [expected.left, expected.right];
    let mut places = sides
        .iter()
        .filter_map(|party| is_local(policy, *party))
        .peekable();
    places.peek().is_none() || places.any(|local| local)
}

/// Tells whether a party is on this host; nothing where it is on no host's network.
fn is_local(policy: &Policy, party: Party) -> Option<bool> {
    let local = |id: crate::policy::ir::NetworkId| {
        policy
            .networks
            .get(id.0)
            .is_some_and(|network| network.local)
    };
    match party {
        Party::Network(id) => Some(local(id)),
        Party::Container(id) => {
            let container = policy.containers.get(id.0)?;
            Some(container.attachments.iter().any(|at| local(at.network)))
        }
        Party::Any | Party::Host | Party::Outside | Party::Trust(_) => None,
    }
}

fn judge(
    host: &HostRules<'_>,
    (rules, family): (&str, Family),
    budget: &Budget,
    judged: &mut [Judgement],
) {
    let asked = |(expected, _): &(&Expectation, &mut Judgement)| is_asked(host.policy, expected);
    let mut all = host
        .policy
        .expectations
        .iter()
        .zip(judged)
        .filter(asked)
        .peekable();
    if all.peek().is_none() {
        return;
    }
    let Some(mut asking) = Asking::new(host.policy, rules, family, budget) else {
        all.for_each(|(_, judgement)| judgement.not_known = true);
        return;
    };
    for (expected, judgement) in all {
        budget.take(STEPS_EACH);
        if budget.is_spent() {
            judgement.not_known = true;
            continue;
        }
        let answer = asking.answer(expected);
        judgement.not_known |= asking.space.diagrams.is_exhausted();
        let [four, six] = &mut judgement.families;
        let hosts = match family {
            Family::V4 => four,
            Family::V6 => six,
        };
        hosts.asked += usize::from(answer.is_some());
        hosts.broken.extend(answer.and_then(Result::err));
    }
}

/// A host in one family, and where its packets go.
struct Asking<'p> {
    policy: &'p Policy,
    /// With an address for every container.
    placed: Policy,
    machine: Machine,
    space: Space,
    journey: Journey,
    names: Names,
    /// Addresses that a reader knows: the host's, the containers', and some for examples.
    usual: Vec<u128>,
}

impl<'p> Asking<'p> {
    fn new(policy: &'p Policy, rules: &str, family: Family, budget: &Budget) -> Option<Self> {
        let machine = of_policy(policy, rules, family).ok()?.machine;
        let placed = placed(policy);
        let names = interfaces(policy);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut space = Journey::space(&[&machine], &names, budget);
        let journey = Journey::new(&mut space, &machine).ok()?;
        let names = Names::new(&[&placed], &machine);
        let usual = usual(&placed, &machine);
        Some(Asking {
            policy,
            placed,
            machine,
            space,
            journey,
            names,
            usual,
        })
    }

    /// Returns whether an expectation is kept; nothing where no packet of this family is about it. What a
    /// container is to reach waits for its address where an engine is yet to give it one.
    fn answer(&mut self, expected: &Expectation) -> Option<Result<(), Why>> {
        let sides = [expected.left, expected.right];
        if expected.allowed && sides.iter().any(|party| self.waits(*party)) {
            return Some(Ok(()));
        }
        let known = if expected.allowed {
            self.policy
        } else {
            &self.placed
        };
        let policies = [&self.placed, known];
        let mut region = Region::new(&mut self.space, policies, &self.machine, &self.journey);
        let left = region.source(expected.left, expected.allowed);
        let (asked, broken) = if expected.allowed {
            let ways = region.ways(expected.left, expected.right, &expected.services);
            region.refused(left, &ways)
        } else {
            let reached = region.reached(expected.right, &expected.services);
            let discovery = region.discovery();
            let space = &mut *region.space;
            let reached = space.diagrams.except(reached, discovery);
            (left, space.diagrams.guard(left, reached))
        };
        if asked == Node::NO {
            return None;
        }
        if broken == Node::NO {
            return Some(Ok(()));
        }
        Some(Err(self.packet(broken, expected.allowed)))
    }

    fn waits(&self, party: Party) -> bool {
        let Party::Container(id) = party else {
            return false;
        };
        let container = self.policy.containers.get(id.0).into_iter();
        let mut all = container.flat_map(|it| &it.attachments);
        all.all(|at| at.addresses.is_empty())
    }

    fn packet(&self, broken: Node, allowed: bool) -> Why {
        let prefer = |level: Level, first: u128, last: u128| self.prefer(level, (first, last));
        let values = self
            .space
            .diagrams
            .witness(broken, &prefer)
            .unwrap_or_default();
        let probe = probe(&self.space, &values);
        let reason = reason(&self.machine, &probe, &[], !allowed, &self.names);
        Why::Packet {
            host: self.policy.host.name.clone(),
            packet: words(&probe),
            reason,
        }
    }

    /// Ranks intervals: usual protocols and known interfaces first.
    fn prefer(&self, level: Level, (first, last): (u128, u128)) -> (u32, u128) {
        let usual: &[u128] = match self.space.field(level) {
            Some(Field::Protocol) => &[6, 17],
            Some(Field::SourcePort) => &[40_000],
            Some(Field::Source | Field::Destination) => &self.usual,
            Some(Field::Input) => {
                let at = usize::try_from(first).unwrap_or(0);
                let named = matches!(self.space.atoms().get(at), Some(Atom::Name(_)));
                return (u32::from(!named), first);
            }
            _ => &[],
        };
        let here = |(_, value): &(u32, &u128)| (first..=last).contains(*value);
        let found = (0u32..).zip(usual).find(here);
        found.map_or((u32::MAX, first), |(rank, value)| (rank, *value))
    }
}

fn usual(policy: &Policy, machine: &Machine) -> Vec<u128> {
    let links = machine.interfaces.iter().flat_map(|link| &link.addresses);
    let own = links.map(ipnet::IpNet::addr);
    let containers = policy.containers.iter().flat_map(|it| &it.attachments);
    let containers = containers.flat_map(|at| at.addresses.iter().copied());
    let examples = ["198.51.100.1", "203.0.113.1", "8.8.8.8", "2001:db8:ffff::1"];
    let examples = examples.iter().filter_map(|text| text.parse().ok());
    let all = own.chain(containers).chain(examples);
    let here = all.filter(|address: &IpAddr| machine.family.has(*address));
    here.map(bits).collect()
}

/// Writes a packet as people do.
fn words(probe: &Probe) -> String {
    let from = match &probe.input {
        Some(input) => format!("{} in by {input}", probe.source),
        None => "the host itself".to_owned(),
    };
    let socket = |address: IpAddr, port| std::net::SocketAddr::new(address, port);
    let to = probe.destination;
    let target = match probe.protocol {
        6 => format!("{}/tcp", socket(to, probe.port)),
        17 => format!("{}/udp", socket(to, probe.port)),
        132 => format!("{}/sctp", socket(to, probe.port)),
        1 | 58 => format!("{to}, icmp type {}", probe.icmp.0),
        other => format!("{to}, protocol {other}"),
    };
    format!("{from} to {target}")
}

/// Fixes every match that only the kernel can answer to no: no limit is passed.
pub(super) fn unlimited(space: &mut Space, node: Node) -> Node {
    let mut fixed: Vec<(Level, Instead)> = space
        .all_unknown()
        .map(|(_, level)| (level, Instead::Value(0)))
        .collect();
    fixed.sort_by_key(|(level, _)| *level);
    space.diagrams.substitute(node, &fixed)
}
