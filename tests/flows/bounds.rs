//! Packets at the bounds of every set that a machine's rules tell apart: one by one, all at once, and
//! through the kernel with the same rules.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use tidegate::artifact::Bundle;
use tidegate::compile::compile;
use tidegate::diagram::Node;
use tidegate::meaning::{Atom, End, Fate, Field, Journey, Space};
use tidegate::net::Family;
use tidegate::netfilter::docker::{DockerSetup, guard};
use tidegate::netfilter::dump::States;
use tidegate::netfilter::trace::{Link, Machine, Probe};
use tidegate::netfilter::{lower, render, render_chains};
use tidegate::policy::ir::{Engine, Policy};
use tidegate::policy::load;
use tidegate::question::{of_policy, placed};
use tidegate::source::SourceMap;

use super::cases;
use super::wire::{Seen, Wire};
use crate::props::dice::Dice;
use crate::props::policies::{self, Tape};
use crate::props::symbolic::{agree, value};
use crate::props::{dump_machines, dump_rules};
use crate::support::files::{Files, Folder, repository};
use crate::support::ns::is_root;

const EDGES: usize = 20_000_000;
/// An interface that no rule names.
const STRANGER: &str = "tide9";
/// Packets by walks down the diagram, beside one for each bound.
const WALKS: usize = 200;

struct Subject {
    name: String,
    policy: Policy,
    bundle: Bundle,
}

fn subjects() -> Vec<Subject> {
    let mut found: Vec<Subject> = cases()
        .into_iter()
        .map(|case| Subject {
            name: case.folder.display().to_string(),
            policy: case.policy,
            bundle: case.bundle,
        })
        .collect();
    for folder in ["examples/demo", "examples/07-compose"] {
        let loader = Folder(repository().join(folder));
        let policies = load(&loader, "shop.tide").policies;
        let bundles = compile(&loader, "shop.tide").bundles;
        for (policy, bundle) in policies.into_iter().zip(bundles) {
            let name = folder.to_owned();
            found.push(Subject {
                name,
                policy,
                bundle,
            });
        }
    }
    found
}

/// Returns every value at a bound of a function, and one on each side of it, by field.
fn bounds(space: &Space, node: Node) -> BTreeMap<Field, BTreeSet<u128>> {
    let mut found: BTreeMap<Field, BTreeSet<u128>> = BTreeMap::new();
    let mut seen = HashSet::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        let Some(level) = space.diagrams.level(node).filter(|_| seen.insert(node)) else {
            continue;
        };
        for (first, last, to) in space.diagrams.branches(node) {
            open.push(to);
            if let Some(field) = space.field(level) {
                // Its neighbours' bounds are those beside it.
                found.entry(field).or_default().extend([first, last]);
            }
        }
    }
    found
}

/// Values of a packet's fields, by way of the diagram.
type Values = BTreeMap<Field, u128>;

/// Goes down by random branches, to a bound of each.
fn walk(space: &Space, node: Node, dice: &mut Dice) -> Values {
    let mut values = Values::new();
    let mut node = node;
    while let Some(level) = space.diagrams.level(node) {
        let (first, last, to) = dice.pick(&space.diagrams.branches(node));
        if let Some(field) = space.field(level) {
            values.insert(field, dice.pick(&[first, last]));
        }
        node = to;
    }
    values
}

/// Returns the name of one interface that is in an atom.
fn name_of(atom: &Atom) -> Option<String> {
    match atom {
        Atom::None => None,
        Atom::Name(name) => Some(name.clone()),
        Atom::Beginning(start) => Some(format!("{start}9")),
        Atom::Other => Some(STRANGER.to_owned()),
    }
}

struct Sender<'s> {
    space: &'s Space,
    bounds: BTreeMap<Field, BTreeSet<u128>>,
    /// The host's addresses: no other source is its own.
    own: Vec<IpAddr>,
    dice: Dice,
}

impl Sender<'_> {
    /// Fills in what does not matter with bounds that matter elsewhere.
    fn filled(&mut self, values: &Values, field: Field) -> u128 {
        let all: Vec<u128> = self
            .bounds
            .get(&field)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        match values.get(&field) {
            Some(value) => *value,
            None if all.is_empty() => 0,
            None => self.dice.pick(&all),
        }
    }

    fn probe(&mut self, values: &Values) -> Probe {
        let atom = self.filled(values, Field::Input);
        let protocol = self.filled(values, Field::Protocol) as u8;
        let icmp = self.filled(values, Field::Icmp) as u16;
        let [port, source_port] = [Field::Port, Field::SourcePort].map(|field| {
            let port = self.filled(values, field) as u16;
            if [6, 17, 132, 136].contains(&protocol) {
                port
            } else {
                0
            }
        });
        let [source, destination] = [Field::Source, Field::Destination]
            .map(|field| self.filled(values, field))
            .map(|bits| self.space.address(bits));
        let input = name_of(&self.space.atoms()[atom as usize]);
        let source = match input {
            None => self.dice.pick(&self.own),
            Some(_) => source,
        };
        Probe {
            input,
            source,
            destination,
            protocol,
            source_port,
            port,
            icmp: if [1, 58].contains(&protocol) {
                ((icmp >> 8) as u8, icmp as u8)
            } else {
                (0, 0)
            },
            tcp_flags: 2,
            state: States::NEW,
            mark: 0,
            connmark: 0,
        }
    }

    /// Returns a packet for each bound, and for random ways through the diagram.
    fn probes(&mut self, node: Node) -> Vec<Probe> {
        let bounds = self.bounds.clone();
        let each = bounds
            .iter()
            .flat_map(|(field, all)| all.iter().map(|value| (*field, *value)));
        let mut found = Vec::new();
        for (field, value) in each {
            found.extend(self.one(node, Some((field, value))));
        }
        found.extend((0..WALKS).filter_map(|_| self.one(node, None)));
        found
    }

    /// Returns a packet with one value at most given, unless all that were tried cannot be sent.
    fn one(&mut self, node: Node, given: Option<(Field, u128)>) -> Option<Probe> {
        let mut tries = (0..20).map(|_| {
            let mut values = walk(self.space, node, &mut self.dice);
            values.extend(given);
            self.probe(&values)
        });
        tries.find(can_be_sent)
    }
}

/// Leaves out what no other machine can send over a wire, or sends to many.
fn can_be_sent(probe: &Probe) -> bool {
    let plain = |address: IpAddr| {
        let special = match address {
            IpAddr::V4(four) => four.is_broadcast() || four.octets()[0] == 0,
            IpAddr::V6(six) => six.is_unicast_link_local() || six.is_unspecified(),
        };
        !special && !address.is_multicast()
    };
    let local = probe.source.is_loopback() || probe.destination.is_loopback();
    let apart = match probe.input.as_deref() {
        None => true,
        Some(name) => name != "lo" && !local,
    };
    let both = plain(probe.source) && plain(probe.destination);
    both && apart && !is_the_kernels(probe)
}

/// Neighbours are answered by the kernel itself, and headers that come in front of others are its own.
fn is_the_kernels(probe: &Probe) -> bool {
    const HEADERS: [u8; 10] = [0, 43, 44, 50, 51, 59, 60, 135, 139, 140];
    let neighbours = probe.protocol == 58 && (133..=137).contains(&probe.icmp.0);
    neighbours || probe.source.is_ipv6() && HEADERS.contains(&probe.protocol)
}

/// What a fate looks like behind all rules.
fn shown(fate: Fate, probe: &Probe) -> Option<Seen> {
    let (address, port) = fate.to.unwrap_or_default();
    let back = || probe.input.clone().unwrap_or_else(|| "lo".to_owned());
    let interface = match fate.end {
        End::Out(name) => name,
        End::Host => back(),
        _ => return None,
    };
    Some(Seen {
        interface,
        destination: address.unwrap_or(probe.destination),
        port: port.unwrap_or(probe.port),
    })
}

/// Ports of protocols that have none are not compared.
fn compared(seen: Option<Seen>, probe: &Probe) -> Option<Seen> {
    let has_ports = [6, 17, 132, 136].contains(&probe.protocol);
    seen.map(|seen| Seen {
        port: if has_ports { seen.port } else { 0 },
        ..seen
    })
}

/// Returns the texts that make a policy's machine, in order.
pub(super) fn rules_of(policy: &Policy, rules: &str, family: Family) -> Vec<String> {
    let mut texts = Vec::new();
    if !policy.host.engine.is_nftables() && !matches!(policy.host.engine, Engine::None(_)) {
        let engine = DockerSetup::of(policy).rules(&placed(policy), family == Family::V6);
        texts.push(guard(policy, &engine).to_owned());
        texts.insert(0, engine);
    }
    texts.push(rules.to_owned());
    texts
}

/// A machine with its packets, all at once and one by one.
struct Trial<'m> {
    machine: &'m Machine,
    space: Space,
    journey: Journey,
    probes: Vec<Probe>,
}

impl<'m> Trial<'m> {
    fn new(machine: &'m Machine, seed: u64, wanted: fn(&Probe) -> bool) -> Self {
        let mut space = Journey::space(&[machine], &[STRANGER], EDGES);
        let journey = Journey::new(&mut space, machine).expect("no circles");
        let links = machine.interfaces.iter().flat_map(|link| &link.addresses);
        let mut sender = Sender {
            space: &space,
            bounds: bounds(&space, journey.node),
            own: links.map(IpNet::addr).collect(),
            dice: Dice::new(seed),
        };
        let mut probes = sender.probes(journey.node);
        probes.retain(wanted);
        Trial {
            machine,
            space,
            journey,
            probes,
        }
    }

    /// Returns what both evaluators say otherwise.
    fn between_ours(&self) -> Vec<String> {
        let said = |probe| agree(&self.space, &self.journey, self.machine, probe);
        self.probes
            .iter()
            .filter_map(|probe| said(probe).err())
            .collect()
    }

    /// Returns what the kernel says otherwise.
    fn with_kernel(&self, rules: &[String], variant: &str) -> Vec<String> {
        let inputs = self.probes.iter().filter_map(|it| it.input.as_deref());
        let wire = Wire::new(self.machine, &inputs.collect::<Vec<_>>());
        let tool = match self.machine.family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        for text in rules {
            let restore = format!("{tool}-{variant}-restore --noflush");
            wire.host.feed(&restore, text);
        }
        let done = wire.send(&self.probes);
        let pairs = self.probes.iter().zip(done);
        let wrong = pairs.filter_map(|(probe, done)| self.wrong(probe, done));
        wrong.map(|it| format!("{variant}: {it}")).collect()
    }

    fn wrong(&self, probe: &Probe, done: Option<Seen>) -> Option<String> {
        let answers = self
            .space
            .ask(self.journey.node, &|field| value(&self.space, probe, field));
        let fates = answers.into_iter().map(|answer| self.journey.fate(answer));
        let told: BTreeSet<_> = fates.map(|it| compared(shown(it, probe), probe)).collect();
        let done = compared(done, probe);
        let wrong = format!("{probe:?}\nwe say {told:?}\nthe kernel {done:?}");
        (!told.contains(&done)).then_some(wrong)
    }
}

/// What was compared, and what was said otherwise.
#[derive(Default)]
pub(super) struct Tally {
    packets: usize,
    wrong: Vec<String>,
}

pub(super) fn any(_: &Probe) -> bool {
    true
}

/// Connection tracking takes other messages of ICMP for no connection's; `icmp_new` of the kernel's
/// `nf_conntrack_proto_icmp.c`.
fn begins_a_connection(probe: &Probe) -> bool {
    match probe.protocol {
        1 => [8, 13, 15, 17].contains(&probe.icmp.0),
        58 => probe.icmp.0 == 128,
        _ => true,
    }
}

impl Tally {
    pub(super) fn add(
        &mut self,
        name: &str,
        machine: &Machine,
        rules: &[String],
        wanted: fn(&Probe) -> bool,
    ) {
        let trial = Trial::new(machine, self.packets as u64, wanted);
        let mut wrong = trial.between_ours();
        for variant in ["legacy", "nft"] {
            wrong.extend(trial.with_kernel(rules, variant));
            self.packets += trial.probes.len();
        }
        self.wrong
            .extend(wrong.into_iter().map(|it| format!("{name}: {it}")));
    }

    pub(super) fn end(self, least: usize) {
        let Tally { packets, wrong } = self;
        eprintln!(
            "{packets} packets compared with the kernel, {} disagreements",
            wrong.len()
        );
        assert!(
            wrong.is_empty(),
            "{}",
            wrong[..wrong.len().min(20)].join("\n")
        );
        assert!(packets >= least, "{packets} packets only");
    }
}

#[test]
fn the_kernel_agrees_at_every_bound_of_every_policy() {
    if !is_root() {
        return;
    }
    let mut tally = Tally::default();
    for Subject {
        name,
        policy,
        bundle,
    } in subjects()
    {
        for family in Family::BOTH {
            let rules = bundle.rules(family);
            let machine = of_policy(&policy, rules, family).expect("rules that load");
            tally.add(
                &name,
                &machine.machine,
                &rules_of(&policy, rules, family),
                any,
            );
        }
    }
    tally.end(10_000);
}

/// Random policies are as good as those that somebody thought of.
#[test]
fn the_kernel_agrees_on_random_policies() {
    if !is_root() {
        return;
    }
    let mut tally = Tally::default();
    let loaded = (0..).map(random);
    for (policy, sources) in loaded.flatten().take(20) {
        for family in Family::BOTH {
            let rules = lower(&policy, family).expect("few rules");
            let rules = render(&rules, &render_chains(&rules, &sources));
            let machine = of_policy(&policy, &rules, family).expect("rules that load");
            tally.add(
                "random",
                &machine.machine,
                &rules_of(&policy, &rules, family),
                any,
            );
        }
    }
    tally.end(5_000);
}

/// Rules of every kind that iptables has and the evaluators know all of.
#[test]
fn the_kernel_agrees_on_random_rules() {
    if !is_root() {
        return;
    }
    let mut tally = Tally::default();
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let family = dice.pick(&Family::BOTH);
        let rules = dump_rules::text(&mut dice, family, false);
        let mut machine = dump_machines::machine(&mut dice, family, &rules);
        machine.interfaces.extend(bare(&machine));
        let name = format!("{rules}{:?}\n{:?}", machine.interfaces, machine.routes);
        tally.add(&name, &machine, &[rules], begins_a_connection);
    }
    tally.end(5_000);
}

/// Returns every interface that packets may come by, where the machine has not told its addresses: it has
/// none.
fn bare(machine: &Machine) -> Vec<Link> {
    let space = Journey::space(&[machine], &[STRANGER], EDGES);
    let names: BTreeSet<String> = space.atoms().iter().filter_map(name_of).collect();
    let is_new =
        |name: &String| name != "lo" && machine.interfaces.iter().all(|it| it.name != *name);
    let link = |name| Link {
        name,
        addresses: Vec::new(),
    };
    names.into_iter().filter(is_new).map(link).collect()
}

pub(super) fn random(seed: u64) -> Option<(Policy, SourceMap)> {
    let mut dice = Dice::new(seed);
    let bytes: Vec<u8> = (0..1024).map(|_| dice.below(256) as u8).collect();
    let text = policies::policy(&mut Tape::new(&bytes));
    let loaded = load(&Files::one(&text), "policy.tide");
    let policy = loaded.policy().cloned()?;
    Some((policy, loaded.sources))
}
