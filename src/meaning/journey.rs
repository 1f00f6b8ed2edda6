//! Where a machine's rules bring every first packet of a connection, hook after hook in the kernel's
//! order (`nf_ip_hook_priorities` in `netfilter_ipv4.h`), worked out from the last hook to the first.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::chains::{Chains, TooDeep};
use super::conditions::INVALID;
use super::outcome::{Outcome, Verdict};
use super::routing::Routing;
use super::space::{Field, Space};
use super::translator::{Pinned, Translator};
use crate::diagram::{Budget, Instead, Level, Node};
use crate::net::Family;
use crate::netfilter::trace::Machine;

/// Where packets end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// A process of the host gets it.
    Host,
    /// It leaves by an interface.
    Out(String),
    Dropped,
    /// With the name of the answer.
    Rejected(String),
    NoRoute,
    /// An address of loopback from elsewhere, or in IPv4 one of the host's own, which the kernel drops
    /// before it routes.
    Martian,
    /// At a target that nobody here knows.
    Unknown(String),
}

/// Where a packet ends, and what was translated on its way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fate {
    pub end: End,
    /// The new destination and the new port, each where there is one; nothing where the packet stays
    /// what it was.
    pub to: Option<(Option<IpAddr>, Option<u16>)>,
    /// It leaves with another source.
    pub hidden: bool,
}

impl Fate {
    fn of(end: End) -> Self {
        Fate {
            end,
            to: None,
            hidden: false,
        }
    }

    /// Tells whether somebody gets the packet.
    pub fn arrives(&self) -> bool {
        matches!(self.end, End::Host | End::Out(_))
    }
}

/// All first packets of connections to their fates.
#[derive(Debug)]
pub struct Journey {
    /// Asks the interface that a packet enters by, its protocol, its ends, its ICMP type, and what only
    /// the kernel can answer.
    pub node: Node,
    fates: Fates,
}

impl Journey {
    /// Follows all packets through a machine.
    pub fn new(space: &mut Space, machine: &Machine) -> Result<Self, TooDeep> {
        let mut walk = Walk {
            routing: Routing::new(space, machine),
            chains: machine
                .rules
                .tables
                .iter()
                .map(|(name, table)| (name.as_str(), Chains::new(name, table)))
                .collect(),
            fates: Fates::default(),
        };
        let arriving = walk.arriving(space)?;
        let own = walk.own(space)?;
        let none = space.atom("");
        let host = space.is(Field::Input, none);
        let all = space.diagrams.select(host, own, arriving);
        Ok(Journey {
            node: first_packets(space, all),
            fates: walk.fates,
        })
    }

    /// Makes the space in which a machine's packets can be followed, with more interfaces of `names`.
    pub fn space(machines: &[&Machine], names: &[&str], budget: impl Into<Budget>) -> Space {
        let family = machines
            .first()
            .map_or(Family::V4, |machine| machine.family);
        let links = machines.iter().flat_map(|machine| &machine.interfaces);
        let links = links.map(|link| link.name.as_str());
        let routes = machines.iter().flat_map(|machine| &machine.routes);
        let routes = routes.map(|(_, name)| name.as_str());
        let known = links.chain(routes).chain(["lo"]);
        let known: Vec<&str> = known.chain(names.iter().copied()).collect();
        Space::new(
            family,
            machines.iter().map(|machine| &machine.rules),
            &known,
            budget,
        )
    }

    pub fn fate(&self, answer: u32) -> Fate {
        self.fates.get(answer)
    }

    /// Returns yes where a packet's fate is one of those wanted.
    pub fn those(&self, space: &mut Space, wanted: &dyn Fn(&Fate) -> bool) -> Node {
        let fates = &self.fates;
        space.diagrams.map(self.node, &mut |answer| {
            u32::from(wanted(&fates.get(answer)))
        })
    }

    /// Returns yes where a packet arrives.
    pub fn arrives(&self, space: &mut Space) -> Node {
        self.those(space, &Fate::arrives)
    }
}

/// Fates by number, from 1: 0 is no answer yet.
#[derive(Debug, Default)]
pub(super) struct Fates {
    all: Vec<Fate>,
    numbers: HashMap<Fate, u32>,
}

impl Fates {
    pub(super) fn node(&mut self, fate: &Fate) -> Node {
        if let Some(known) = self.numbers.get(fate) {
            return Node::answer(*known);
        }
        self.all.push(fate.clone());
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.numbers.insert(fate.clone(), number);
        Node::answer(number)
    }

    pub(super) fn end(&mut self, end: End) -> Node {
        self.node(&Fate::of(end))
    }

    pub(super) fn get(&self, answer: u32) -> Fate {
        let found = (answer as usize)
            .checked_sub(1)
            .and_then(|at| self.all.get(at));
        found.cloned().unwrap_or_else(|| Fate::of(End::Dropped))
    }
}

/// Restricts to the first packet of a connection, as no rule has seen it yet.
fn first_packets(space: &mut Space, node: Node) -> Node {
    let mut known = vec![
        (space.level(Field::State), Instead::Value(0)),
        (space.level(Field::Translated), Instead::Value(0)),
        (space.level(Field::Original), Instead::Value(1)),
        // SYN
        (space.level(Field::TcpFlags), Instead::Value(2)),
    ];
    let marks = (0..32).flat_map(|bit| [space.mark(false, bit), space.mark(true, bit)]);
    known.extend(marks.map(|level| (level, Instead::Value(0))));
    known.sort_by_key(|(level, _)| *level);
    let node = space.diagrams.substitute(node, &known);
    as_asked(space, node)
}

/// Nothing was translated yet: what was asked for is what the packet says.
pub(super) fn as_asked(space: &mut Space, node: Node) -> Node {
    let pairs = [
        (Field::AskedDestination, Field::Destination),
        (Field::AskedPort, Field::Port),
        (Field::Asker, Field::Source),
    ];
    pairs.into_iter().fold(node, |node, (from, to)| {
        let (from, to) = (space.level(from), space.level(to));
        space.diagrams.rename(node, from, to)
    })
}

struct Walk<'m> {
    routing: Routing,
    chains: BTreeMap<&'m str, Chains<'m>>,
    fates: Fates,
}

/// What is known of a packet at a hook.
pub(super) type Fixed = Vec<(Level, Instead)>;

/// What becomes of the host's own packets by one interface.
type Follow<'f, W> = dyn FnMut(&mut W, &mut Space, &Fixed, &str) -> Result<Node, TooDeep> + 'f;

fn fixed(space: &Space, interfaces: &[(Field, u128)]) -> Fixed {
    let level = |(field, value): &(Field, u128)| (space.level(*field), Instead::Value(*value));
    interfaces.iter().map(level).collect()
}

/// In `raw` no connection is known yet, but for what the host sends to itself.
fn unknown_yet(space: &Space, mut known: Fixed) -> Fixed {
    known.insert(0, (space.level(Field::State), Instead::Value(INVALID)));
    known
}

impl Walk<'_> {
    /// From the wire to a process, or on to another interface.
    fn arriving(&mut self, space: &mut Space) -> Result<Node, TooDeep> {
        let entering = self.entering(space)?;
        let forwarded = self.forwarded(space)?;
        let local = self.routing.for_the_host(space);
        let routed = space.diagrams.select(local, entering, forwarded);
        let foreign = self.routing.foreign(space);
        let martian = self.fates.end(End::Martian);
        let routed = space.diagrams.select(foreign, martian, routed);
        let none = space.atom("");
        let known = fixed(space, &[(Field::Output, none)]);
        let behind = self.nat(space, "PREROUTING", &known, routed)?;
        let behind = self.through(space, &["mangle"], "PREROUTING", &known, behind)?;
        let known = unknown_yet(space, known);
        self.through(space, &["raw"], "PREROUTING", &known, behind)
    }

    fn entering(&mut self, space: &mut Space) -> Result<Node, TooDeep> {
        let none = space.atom("");
        let known = fixed(space, &[(Field::Output, none)]);
        let host = self.fates.end(End::Host);
        self.through(
            space,
            &["mangle", "filter", "security", "nat"],
            "INPUT",
            &known,
            host,
        )
    }

    fn forwarded(&mut self, space: &mut Space) -> Result<Node, TooDeep> {
        let mut ways = Vec::new();
        for (name, set) in self.routing.routes().to_vec() {
            let known = fixed(space, &[(Field::Output, space.atom(&name))]);
            let left = self.leaving(space, &known, End::Out(name))?;
            let tables = ["mangle", "filter", "security"];
            let way = self.through(space, &tables, "FORWARD", &known, left)?;
            let here = space.within(Field::Destination, &set);
            ways.push(space.diagrams.guard(here, way));
        }
        ways.push(self.fates.end(End::NoRoute));
        Ok(space.diagrams.first_of(&ways))
    }

    /// From POSTROUTING to an end.
    fn leaving(&mut self, space: &mut Space, known: &Fixed, end: End) -> Result<Node, TooDeep> {
        let end = self.fates.end(end);
        let masked = self.masked(space, known, end)?;
        self.through(space, &["mangle"], "POSTROUTING", known, masked)
    }

    fn masked(&mut self, space: &mut Space, known: &Fixed, behind: Node) -> Result<Node, TooDeep> {
        let hook = self.hook(space, "nat", "POSTROUTING", known)?;
        let hidden = self.hidden(space, behind);
        let lo = (space.level(Field::Output), Instead::Value(space.atom("lo")));
        let mut masks = BTreeMap::new();
        for answer in space.diagrams.answers(hook) {
            let verdict = space.outcome_of(answer).verdict;
            if matches!(verdict, Verdict::Masquerade | Verdict::Snat(_)) {
                // Only what comes back to the host is looked at once more.
                let seen = if known.contains(&lo) {
                    self.routing.seen_masked(space, &verdict, hidden)
                } else {
                    hidden
                };
                masks.insert(verdict, seen);
            }
        }
        let instead = |outcome: &Outcome| masks.get(&outcome.verdict).copied();
        Ok(self.expand(space, hook, behind, &instead))
    }

    /// Notes in every fate that the source is another one.
    fn hidden(&mut self, space: &mut Space, behind: Node) -> Node {
        let fates = &mut self.fates;
        space.diagrams.map(behind, &mut |answer| {
            let fate = Fate {
                hidden: true,
                ..fates.get(answer)
            };
            fates.node(&fate).as_answer().unwrap_or(0)
        })
    }

    /// From a process of the host, out or back to the host. A new destination is routed again, but the
    /// rest of the hook is told of the first interface: `nf_nat_ipv4_local_fn` of the kernel changes the
    /// packet's route, not `nf_hook_state`.
    fn own(&mut self, space: &mut Space) -> Result<Node, TooDeep> {
        let left = self.by_own_routes(space, &mut Self::own_leaving)?;
        let reached = self.routing.own_reach(space);
        let nowhere = self.fates.end(End::NoRoute);
        self.by_own_routes(space, &mut |walk, space, known, _| {
            let behind = walk.through(space, &["filter", "security"], "OUTPUT", known, left)?;
            let behind = space.diagrams.select(reached, behind, nowhere);
            let behind = walk.nat(space, "OUTPUT", known, behind)?;
            let behind = walk.through(space, &["mangle"], "OUTPUT", known, behind)?;
            let known = unknown_yet(space, known.clone());
            walk.through(space, &["raw"], "OUTPUT", &known, behind)
        })
    }

    /// Joins what becomes of the host's own packets by each interface that they may leave by.
    fn by_own_routes(
        &mut self,
        space: &mut Space,
        follow: &mut Follow<'_, Self>,
    ) -> Result<Node, TooDeep> {
        let nobody = space.atom("");
        let mut ends = Vec::new();
        for (name, set) in self.routing.own_routes() {
            let output = space.atom(&name);
            let known = fixed(space, &[(Field::Input, nobody), (Field::Output, output)]);
            let end = follow(self, space, &known, &name)?;
            let here = space.within(Field::Destination, &set);
            ends.push(space.diagrams.guard(here, end));
        }
        ends.push(self.fates.end(End::NoRoute));
        Ok(space.diagrams.first_of(&ends))
    }

    /// From the host's second look at its routes to an end.
    fn own_leaving(
        &mut self,
        space: &mut Space,
        known: &Fixed,
        name: &str,
    ) -> Result<Node, TooDeep> {
        if name != "lo" {
            return self.leaving(space, known, End::Out(name.to_owned()));
        }
        let back = self.back(space)?;
        let masked = self.masked(space, known, back)?;
        self.through(space, &["mangle"], "POSTROUTING", known, masked)
    }

    /// What the host sends to itself comes in by its loopback interface; nat has had its say.
    fn back(&mut self, space: &mut Space) -> Result<Node, TooDeep> {
        let known = fixed(
            space,
            &[
                (Field::Input, space.atom("lo")),
                (Field::Output, space.atom("")),
            ],
        );
        let host = self.fates.end(End::Host);
        let tables = ["mangle", "filter", "security", "nat"];
        let entering = self.through(space, &tables, "INPUT", &known, host)?;
        self.through(space, &["raw", "mangle"], "PREROUTING", &known, entering)
    }

    /// Returns a hook's outcomes for what is known; addresses tell their types.
    fn hook(
        &mut self,
        space: &mut Space,
        table: &str,
        chain: &str,
        known: &Fixed,
    ) -> Result<Node, TooDeep> {
        let Some(chains) = self.chains.get_mut(table) else {
            return Ok(space.outcome(&Outcome::of(Verdict::Accept)));
        };
        let node = chains.hook(space, chain)?;
        let node = space.diagrams.substitute(node, known);
        let node = self.routing.typed(space, node);
        if table != "nat" {
            return Ok(node);
        }
        // `nf_nat_inet_fn` of the kernel looks at no rule for what has no connection.
        let (tracked, passes) = (
            space.tracked(),
            space.outcome(&Outcome::of(Verdict::Accept)),
        );
        Ok(space.diagrams.select(tracked, node, passes))
    }

    /// Puts the hooks of some tables in front of what comes behind them.
    fn through(
        &mut self,
        space: &mut Space,
        tables: &[&str],
        chain: &str,
        known: &Fixed,
        behind: Node,
    ) -> Result<Node, TooDeep> {
        tables.iter().rev().try_fold(behind, |behind, table| {
            if !self.chains.contains_key(table) {
                return Ok(behind);
            }
            let hook = self.hook(space, table, chain, known)?;
            Ok(self.expand(space, hook, behind, &|_| None))
        })
    }

    /// Puts what comes behind a hook in the places of its outcomes, or what `instead` says.
    fn expand(
        &mut self,
        space: &mut Space,
        hook: Node,
        behind: Node,
        instead: &dyn Fn(&Outcome) -> Option<Node>,
    ) -> Node {
        let mut functions = BTreeMap::new();
        for answer in space.diagrams.answers(hook) {
            let outcome = space.outcome_of(answer);
            let function = match self.ended(&outcome) {
                Some(end) => end,
                None => space.seen(instead(&outcome).unwrap_or(behind), &outcome),
            };
            functions.insert(answer, function);
        }
        space.diagrams.expand_some(hook, &functions)
    }

    fn ended(&mut self, outcome: &Outcome) -> Option<Node> {
        let end = match &outcome.verdict {
            Verdict::Drop => End::Dropped,
            Verdict::Reject(answer) => End::Rejected(answer.clone()),
            Verdict::Unknown(target) => End::Unknown(target.clone()),
            _ => return None,
        };
        Some(self.fates.end(end))
    }

    /// Puts a hook that translates destinations in front of what comes behind it.
    fn nat(
        &mut self,
        space: &mut Space,
        chain: &str,
        known: &Fixed,
        behind: Node,
    ) -> Result<Node, TooDeep> {
        if !self.chains.contains_key("nat") {
            return Ok(untranslated(space, behind));
        }
        let hook = self.hook(space, "nat", chain, known)?;
        let mut translator = Translator {
            routing: &self.routing,
            fates: &mut self.fates,
            untouched: untranslated(space, behind),
            behind,
            own: chain == "OUTPUT",
            memo: HashMap::new(),
        };
        Ok(translator.put(space, hook, Pinned::default()))
    }
}

fn untranslated(space: &mut Space, behind: Node) -> Node {
    let level = space.level(Field::Translated);
    let node = space.diagrams.restrict(behind, level, 0);
    as_asked(space, node)
}
