//! What saved rules tell of the machine that they are from: behind which interface addresses lie, which are
//! its own, and by which interfaces packets may leave. What they do not tell is asked each way.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::diff::{Differences, Row, Unknowable, differences};
use super::machine::{everywhere, first_host};
use super::quiet::{BUILT_IN, Quiet, Unnoticed, reached, unnoticed};
use super::side::{Side, SideKind, on_one_host};
use crate::diagram::Node;
use crate::net::Family;
use crate::netfilter::dump::{Action, Dump, DumpRule, DumpTable, Pattern, Test};
use crate::netfilter::trace::Link;

/// Most interfaces by which what has no route is taken to leave, one after the other.
const MAX_WAYS: usize = 32;
/// How many of a list are named.
const NAMED: usize = 5;
/// Most addresses that are taken for the host's own.
const MAX_OWN: usize = 256;

/// How the condition begins that something leaves by an interface.
pub(super) const LEAVES: &str = "it leaves by ";

/// What one comparison after the other found, and what was not asked.
#[derive(Debug)]
pub struct Compared {
    pub found: Vec<Differences>,
    /// What the rules name and nothing was asked about, in words.
    pub unasked: Vec<String>,
    /// Rules of one text alone that none of it is about, as far as that is known.
    pub unnoticed: Vec<Unnoticed>,
    /// What was read from the rules about their machine; whole sentences.
    pub assumptions: Vec<String>,
}

/// Compares two sets of rules on one host. Where one is saved and neither knows the machine, it is done
/// for each interface by which the rules let packets leave, and for the addresses that they name.
pub fn compare(one: &mut Side, two: &mut Side) -> Result<Compared, Unknowable> {
    let hints = Hints::of(one, two);
    on_one_host(one, two);
    let mut all = match hints {
        Some(hints) => each_way(&hints, one, two)?,
        None => Compared {
            found: vec![differences(one, two)?],
            unasked: Vec::new(),
            unnoticed: Vec::new(),
            assumptions: Vec::new(),
        },
    };
    // Rules of a policy and of somebody else are never the same text.
    if [&*one, &*two]
        .iter()
        .all(|side| side.kind != SideKind::Policy)
    {
        all.unnoticed = unnoticed(&one.machine.rules, &two.machine.rules);
        if all.unnoticed.is_empty() {
            // The same rules do the same by every interface.
            all.unasked.clear();
        }
        if all.found.iter().any(Differences::differs) {
            all.unnoticed.retain(|it| it.why == Quiet::Known);
        }
    }
    Ok(all)
}

fn each_way(hints: &Hints, one: &mut Side, two: &mut Side) -> Result<Compared, Unknowable> {
    hints.place([&mut *one, &mut *two]);
    let mut all = Compared {
        found: vec![differences(one, two)?],
        unasked: Vec::new(),
        unnoticed: Vec::new(),
        assumptions: hints.told(),
    };
    // A policy says where what it does not know leaves.
    if [&*one, &*two]
        .iter()
        .any(|side| side.kind == SideKind::Policy)
    {
        return Ok(all);
    }
    all.unasked = hints.unasked();
    all.assumptions
        .push("What is so only by another interface says by which.".to_owned());
    let ways = hints.ways.iter().take(MAX_WAYS);
    let ways = ways.map(|way| (shown(way), name_of(way)));
    for (shown, name) in ways.chain([("an interface that no rule names".to_owned(), hints.other())])
    {
        let to = [(everywhere(one.machine.family == Family::V6), name)];
        let only = format!("{LEAVES}{shown}");
        let [one, two] = [&*one, &*two].map(|side| with_routes(side, &to));
        all.add(&only, differences(&one, &two)?);
    }
    if !hints.elsewhere.is_empty() {
        let only = "the host has the addresses that the rules name";
        let [one, two] = [&*one, &*two].map(|side| hints.with_all(side));
        let mut more = differences(&one, &two)?;
        // Who has an address is all that is new about the same rules.
        all.leave_new(&mut more);
        all.add(only, more);
    }
    Ok(all)
}

impl Compared {
    /// Adds what is so under one condition alone.
    fn add(&mut self, only: &str, mut more: Differences) {
        more.rows
            .retain(|(row, _)| !self.says(row) && !self.says_too(row, only));
        for (row, _) in &mut more.rows {
            row.only = vec![only.to_owned()];
        }
        self.found.push(more);
    }

    /// Tells whether a row is there without a condition.
    fn says(&self, row: &Row) -> bool {
        let mut all = self.found.iter().flat_map(|it| &it.rows);
        all.any(|(known, _)| known == row)
    }

    /// Leaves what other rules decide than without a condition, or about other services.
    fn leave_new(&self, more: &mut Differences) {
        let like = |row: &Row| {
            let (before, after) = (row.before.clone(), row.after.clone());
            let (services, taken) = (row.services.clone(), row.taken.clone());
            (row.change, before, after, services, taken)
        };
        let all = self.found.iter().flat_map(|it| &it.rows);
        let known: BTreeSet<_> = all.map(|(row, _)| like(row)).collect();
        more.rows.retain(|(row, _)| !known.contains(&like(row)));
    }

    /// Adds a condition to a row that is the same under another one, if there is one.
    fn says_too(&mut self, row: &Row, only: &str) -> bool {
        let mut all = self.found.iter_mut().flat_map(|it| &mut it.rows);
        let same = |(known, _): &&mut (Row, Node)| {
            let row = Row {
                only: known.only.clone(),
                ..row.clone()
            };
            *known == row
        };
        match all.find(same) {
            Some((known, _)) => known.only.push(only.to_owned()),
            None => return false,
        }
        true
    }
}

fn with_routes(side: &Side, routes: &[(IpNet, String)]) -> Side {
    let mut side = side.clone();
    side.machine.routes = routes.to_vec();
    side
}

/// Writes the first few of a list.
fn first(all: &[String]) -> String {
    let text = all
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

fn shortest(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        return net.addr().to_string();
    }
    net.to_string()
}

/// Writes an interface as the rules do.
fn shown(pattern: &Pattern) -> String {
    format!("{}{}", pattern.name, if pattern.prefix { "+" } else { "" })
}

/// Returns a name that a pattern means.
fn name_of(pattern: &Pattern) -> String {
    format!("{}{}", pattern.name, if pattern.prefix { "0" } else { "" })
}

/// Where a rule stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    is_nat: bool,
    /// Packets for the host alone come there.
    into: bool,
    /// Packets of the host alone do.
    out: bool,
}

#[derive(Debug, Default)]
struct Hints {
    /// Prefixes by the interface behind which rules take them to be.
    routes: Vec<(IpNet, String)>,
    /// The host's own addresses, with the interface where rules name one.
    own: Vec<(IpAddr, Option<String>)>,
    /// Addresses that rules are about, and may be the host's own.
    elsewhere: BTreeSet<IpAddr>,
    /// Interfaces by which rules ask whether a packet leaves.
    ways: BTreeSet<Pattern>,
}

impl Hints {
    /// Returns nothing where a machine is known, or no side is saved.
    fn of(one: &Side, two: &Side) -> Option<Self> {
        let is = |kind| [one, two].iter().any(|side| side.kind == kind);
        if is(SideKind::Live) || !is(SideKind::Saved) {
            return None;
        }
        let mut hints = Hints::default();
        for side in [one, two] {
            hints.read(&side.machine.rules);
        }
        for (address, _) in &hints.own {
            hints.elsewhere.remove(address);
        }
        Some(hints)
    }

    fn read(&mut self, dump: &Dump) {
        for (name, table) in &dump.tables {
            let (into, out) = (only_by(table, "INPUT"), only_by(table, "OUTPUT"));
            for (chain, rules) in &table.chains {
                let place = Place {
                    is_nat: name == "nat",
                    into: into.contains(chain.as_str()),
                    out: out.contains(chain.as_str()),
                };
                for rule in &rules.rules {
                    self.rule(rule, place);
                }
            }
        }
    }

    fn rule(&mut self, rule: &DumpRule, place: Place) {
        let (mut ends, mut sides) = (Vec::new(), Vec::new());
        for condition in &rule.conditions {
            match (&condition.test, condition.not) {
                (Test::Source(nets), false) => ends.extend(nets.iter().map(|net| (true, *net))),
                (Test::Destination(nets), false) => {
                    ends.extend(nets.iter().map(|net| (false, *net)));
                }
                (Test::Input(pattern), not) => sides.push((true, not, pattern)),
                (Test::Output(pattern), not) => {
                    self.ways.insert(pattern.clone());
                    sides.push((false, not, pattern));
                }
                _ => {}
            }
        }
        if let Action::Snat(to) = &rule.action {
            let first = to.addresses.map(|(first, _)| (first, None));
            self.own.extend(first);
        }
        for (is_source, net) in ends.into_iter().filter(|(_, net)| is_somewhere(*net)) {
            let behind = sides.iter().find(|(is_input, not, pattern)| {
                // Docker masquerades what leaves a bridge's subnet by any other interface.
                let leaves = is_source && !*is_input && *not && place.is_nat;
                !pattern.prefix && (leaves || !not && is_source == *is_input)
            });
            let own = if is_source { place.out } else { place.into };
            if let Some((_, _, pattern)) = behind.filter(|_| !own) {
                self.route(net, &pattern.name);
            } else if own {
                let by = |(_, not, it): &&(bool, bool, &Pattern)| !not && !it.prefix;
                let name = sides.iter().find(by).map(|(_, _, it)| it.name.clone());
                self.own.extend(first_host(net).map(|it| (it, name)));
            } else {
                self.elsewhere.extend(first_host(net));
            }
        }
    }

    /// Says what was read from the rules.
    fn told(&self) -> Vec<String> {
        let routes = self.routes.iter();
        let routes: Vec<String> = routes
            .map(|(net, name)| format!("{} by {name}", shortest(*net)))
            .collect();
        let own: BTreeSet<String> = self.own.iter().map(|(at, _)| at.to_string()).collect();
        let own: Vec<String> = own.into_iter().collect();
        let said = |what: &str, all: &[String]| {
            (!all.is_empty()).then(|| format!("The rules tell {what}: {}.", first(all)))
        };
        let all = [
            said("what lies where", &routes),
            said("the host's own addresses", &own),
        ];
        all.into_iter().flatten().collect()
    }

    fn unasked(&self) -> Vec<String> {
        let ways = self.ways.iter().skip(MAX_WAYS).map(shown);
        let ways = ways.map(|way| format!("what leaves by {way}"));
        let more = self
            .own
            .len()
            .max(self.elsewhere.len())
            .saturating_sub(MAX_OWN);
        let more = (more > 0).then(|| format!("what goes to {more} more addresses of the host's"));
        ways.chain(more).collect()
    }

    /// Returns a name that no rule means.
    fn other(&self) -> String {
        let mut names = (0..).map(|number| format!("{number}if"));
        let found = names.find(|name| !self.ways.iter().any(|way| way.matches(name)));
        found.unwrap_or_default()
    }

    fn route(&mut self, net: IpNet, name: &str) {
        if self.routes.iter().all(|(known, _)| *known != net) {
            self.routes.push((net, name.to_owned()));
        }
    }

    /// Gives both sides the routes and addresses that the rules tell.
    fn place(&self, sides: [&mut Side; 2]) {
        for side in sides {
            let machine = &mut side.machine;
            let known: BTreeSet<IpNet> = machine.routes.iter().map(|(net, _)| *net).collect();
            let new = self.routes.iter().filter(|(net, _)| !known.contains(net));
            machine.routes.extend(new.cloned());
            let uplink = machine.interfaces.first().map(|link| link.name.clone());
            for (address, name) in self.own.iter().take(MAX_OWN) {
                let name = name.clone().or_else(|| uplink.clone());
                own(&mut machine.interfaces, name.unwrap_or_default(), *address);
            }
        }
    }

    /// Returns a side whose host has every address that rules are about.
    fn with_all(&self, side: &Side) -> Side {
        let mut side = side.clone();
        let uplink = side.machine.interfaces.first().map(|it| it.name.clone());
        for address in self.elsewhere.iter().take(MAX_OWN) {
            let name = uplink.clone().unwrap_or_default();
            own(&mut side.machine.interfaces, name, *address);
        }
        side
    }
}

fn own(interfaces: &mut Vec<Link>, name: String, address: IpAddr) {
    if interfaces
        .iter()
        .any(|it| it.addresses.iter().any(|net| net.addr() == address))
    {
        return;
    }
    let net = IpNet::from(address);
    match interfaces.iter_mut().find(|it| it.name == name) {
        Some(link) => link.addresses.push(net),
        None => interfaces.push(Link {
            name,
            addresses: vec![net],
        }),
    }
}

/// Tells whether a prefix is of addresses that one machine has.
fn is_somewhere(net: IpNet) -> bool {
    let address = net.addr();
    let shared = address.is_multicast() || address.is_loopback() || address.is_unspecified();
    !shared && address != IpAddr::from([255; 4]) && net.prefix_len() > 0
}

/// Returns the chains that packets come through at one hook alone.
fn only_by<'t>(table: &'t DumpTable, hook: &str) -> BTreeSet<&'t str> {
    let others = BUILT_IN.iter().filter(|name| **name != hook);
    let others: BTreeSet<&str> = others.flat_map(|from| reached(table, from)).collect();
    let here = reached(table, hook).into_iter();
    here.filter(|name| !others.contains(name)).collect()
}
