//! All packets: their fields, the values that these have, and the names for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::outcome::{Bit, Outcome, Outcomes};
use crate::diagram::{Budget, Instead, Level, Manager, Node};
use crate::net::{Family, IntervalSet, PortRange};
use crate::netfilter::dump::{Dump, Pattern, Test};

/// What a packet is asked, in the order in which functions ask it. What tells the service stands
/// above the source, so that equal sets of sources are one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// 0 to 4: NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED.
    State,
    /// Number of an [`Atom`].
    Input,
    Output,
    /// IANA's number.
    Protocol,
    Destination,
    Port,
    /// Bit 0: the source was translated; bit 1: the destination was.
    Translated,
    /// 1 in the direction of the connection's first packet.
    Original,
    /// The destination of the connection's first packet, before any translation.
    AskedDestination,
    AskedPort,
    /// Type times 256, and code.
    Icmp,
    Source,
    SourcePort,
    /// The source of the connection's first packet.
    Asker,
    TcpFlags,
    /// 0 to 3: unicast, local, broadcast, multicast.
    SourceType,
    DestinationType,
}

impl Field {
    pub const ALL: [Field; 17] = [
        Field::State,
        Field::Input,
        Field::Output,
        Field::Protocol,
        Field::Destination,
        Field::Port,
        Field::Translated,
        Field::Original,
        Field::AskedDestination,
        Field::AskedPort,
        Field::Icmp,
        Field::Source,
        Field::SourcePort,
        Field::Asker,
        Field::TcpFlags,
        Field::SourceType,
        Field::DestinationType,
    ];

    fn max(self, family: Family, atoms: usize) -> u128 {
        match self {
            Field::State => 4,
            Field::Input | Field::Output => (atoms as u128).saturating_sub(1),
            Field::Protocol | Field::TcpFlags => 255,
            Field::Port | Field::AskedPort | Field::SourcePort | Field::Icmp => 65_535,
            Field::Destination | Field::AskedDestination | Field::Source | Field::Asker => {
                match family {
                    Family::V4 => u32::MAX.into(),
                    Family::V6 => u128::MAX,
                }
            }
            Field::Translated | Field::SourceType | Field::DestinationType => 3,
            Field::Original => 1,
        }
    }
}

/// Interfaces that nothing tells from each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Atom {
    /// There is no interface: the host itself sends or gets the packet.
    None,
    Name(String),
    /// Any other whose name begins so.
    Beginning(String),
    Other,
}

/// A match that only the kernel can answer: of all packets alike, or with `place` of one rule's, whose
/// answer depends on what came before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unknown {
    /// Table, chain, and how many of the same text come before in that chain. It comes first, so that those
    /// of one chain stand in a row.
    pub place: Option<(String, String, usize)>,
    pub text: String,
}

/// The functions of one family's packets.
#[derive(Debug)]
pub struct Space {
    pub family: Family,
    pub diagrams: Manager,
    fields: Vec<Level>,
    atoms: Vec<Atom>,
    /// Numbers of the atoms that are one name.
    named: HashMap<String, u128>,
    /// 32 bits of the packet's mark, then 32 of the connection's.
    marks: Vec<Level>,
    unknown: BTreeMap<Unknown, Level>,
    outcomes: Outcomes,
}

/// Of [`Field::State`].
const UNTRACKED: u128 = 4;
/// Steps that telling one interface from all others stands for.
const STEPS_PER_ATOM: u64 = 200;
/// Most matches that only the kernel can answer.
const MAX_UNKNOWN: usize = 4_000;

impl Space {
    /// Makes the space of all packets that the rules of `dumps` tell apart by interface, and those
    /// with the interfaces of `names`, of which one with a `+` at its end stands for all that begin so.
    /// Beyond the budget its functions are worth nothing.
    pub fn new<'a>(
        family: Family,
        dumps: impl IntoIterator<Item = &'a Dump>,
        names: &[&str],
        budget: impl Into<Budget>,
    ) -> Self {
        let atoms = atoms(dumps, names);
        let budget = budget.into();
        budget.take(atoms.len() as u64 * STEPS_PER_ATOM);
        let mut diagrams = Manager::new(budget);
        let level = |field: Field| diagrams.add_level(field.max(family, atoms.len()));
        let fields = Field::ALL.map(level).to_vec();
        let marks = (0..64).map(|_| diagrams.add_level(1)).collect();
        Space {
            family,
            diagrams,
            fields,
            named: named(&atoms),
            atoms,
            marks,
            unknown: BTreeMap::new(),
            outcomes: Outcomes::default(),
        }
    }

    pub fn level(&self, field: Field) -> Level {
        let at = Field::ALL.binary_search(&field).unwrap_or(0);
        let level = self.fields.get(at).copied();
        level.unwrap_or_else(|| unreachable!("every field has its level from the beginning"))
    }

    /// Returns the field of a level; nothing for marks and what only the kernel can answer.
    pub fn field(&self, level: Level) -> Option<Field> {
        let at = self.fields.binary_search(&level).ok()?;
        Field::ALL.get(at).copied()
    }

    /// Returns the level of a bit of the packet's mark, or of its connection's.
    pub fn mark(&self, connection: bool, bit: u32) -> Level {
        let at = if connection { bit + 32 } else { bit };
        let level = self.marks.get(at as usize).copied();
        level.unwrap_or_else(|| unreachable!("a mark has 32 bits"))
    }

    /// Returns the level of a match that only the kernel can answer.
    pub fn unknown(&mut self, what: Unknown) -> Level {
        if let Some(known) = self.unknown.get(&what) {
            return *known;
        }
        if self.unknown.len() >= MAX_UNKNOWN {
            self.diagrams.give_up();
        }
        let level = self.diagrams.add_level(1);
        self.unknown.insert(what, level);
        level
    }

    /// Returns all matches so far that only the kernel can answer.
    pub fn all_unknown(&self) -> impl Iterator<Item = (&Unknown, Level)> {
        self.unknown.iter().map(|(what, level)| (what, *level))
    }

    /// Returns those that are of the rules of one chain.
    pub fn unknown_of<'s>(
        &'s self,
        table: &'s str,
        chain: &'s str,
    ) -> impl Iterator<Item = (&'s Unknown, Level)> {
        let first = Unknown {
            place: Some((table.to_owned(), chain.to_owned(), 0)),
            text: String::new(),
        };
        let of_chain = move |what: &Unknown| {
            let mut place = what.place.iter();
            place.any(|(of, at, _)| of == table && at == chain)
        };
        let all = self.unknown.range(first..);
        all.map(|(what, level)| (what, *level))
            .take_while(move |(what, _)| of_chain(what))
    }

    pub fn atoms(&self) -> &[Atom] {
        &self.atoms
    }

    /// Returns the number of the interface of a name; the empty name is no interface.
    pub fn atom(&self, name: &str) -> u128 {
        if let Some(known) = self.named.get(name) {
            return *known;
        }
        let begins =
            |atom: &Atom| matches!(atom, Atom::Beginning(start) if name.starts_with(start));
        let longest = |at: &usize| match self.atoms.get(*at) {
            Some(Atom::Beginning(start)) => start.len(),
            _ => 0,
        };
        let beginnings = (0..self.atoms.len()).filter(|at| self.atoms.get(*at).is_some_and(begins));
        let found = beginnings.max_by_key(longest);
        found.unwrap_or(self.atoms.len() - 1) as u128
    }

    /// Returns the interfaces that a pattern matches.
    pub fn matching(&self, pattern: &Pattern) -> IntervalSet {
        let matches = |atom: &Atom| match atom {
            Atom::None => pattern.matches(""),
            Atom::Name(name) => pattern.matches(name),
            Atom::Beginning(start) => pattern.prefix && start.starts_with(&pattern.name),
            Atom::Other => pattern.prefix && pattern.name.is_empty(),
        };
        let all = self.atoms.iter().zip(0u128..);
        let found = all.filter(|(atom, _)| matches(atom));
        IntervalSet::from_ranges(found.map(|(_, at)| (at, at)).collect())
    }

    /// Returns every value of a field.
    pub fn everything(&self, field: Field) -> IntervalSet {
        IntervalSet::from_ranges(vec![(0, self.diagrams.max(self.level(field)))])
    }

    /// Returns the condition that a field lies in a set.
    pub fn within(&mut self, field: Field, set: &IntervalSet) -> Node {
        let level = self.level(field);
        self.diagrams.choose(level, set, Node::YES, Node::NO)
    }

    /// Returns `then` where fields lie in sets; they are in order, each once, and above all that `then`
    /// asks.
    pub fn all_within(&mut self, sets: &[(Field, IntervalSet)], then: Node) -> Node {
        let sets = sets.iter().rev();
        sets.fold(then, |below, (field, set)| {
            let level = self.level(*field);
            self.diagrams.choose(level, set, below, Node::NO)
        })
    }

    /// Returns the condition that a field has one value.
    pub fn is(&mut self, field: Field, value: u128) -> Node {
        self.within(field, &IntervalSet::from_ranges(vec![(value, value)]))
    }

    /// Returns the function that always has one outcome.
    pub fn outcome(&mut self, outcome: &Outcome) -> Node {
        Node::answer(self.outcomes.number(outcome))
    }

    pub fn outcome_of(&self, answer: u32) -> Outcome {
        self.outcomes.get(answer)
    }

    /// Returns a function as it sees packets that an outcome has changed.
    pub(super) fn seen(&mut self, node: Node, outcome: &Outcome) -> Node {
        let mut instead = outcome.instead();
        if outcome.untracked {
            instead.insert(0, (self.level(Field::State), Instead::Value(UNTRACKED)));
        }
        self.diagrams.substitute(node, &instead)
    }

    /// Gives other outcomes.
    pub fn map(&mut self, node: Node, change: &dyn Fn(&Outcome) -> Outcome) -> Node {
        let Space {
            diagrams, outcomes, ..
        } = self;
        diagrams.map(node, &mut |answer| {
            let outcome = change(&outcomes.get(answer));
            outcomes.number(&outcome)
        })
    }

    /// Returns yes where an outcome is one of those wanted.
    pub fn where_outcome(&mut self, node: Node, wanted: &dyn Fn(&Outcome) -> bool) -> Node {
        let answers = self.diagrams.answers(node);
        if !answers.iter().any(|it| wanted(&self.outcomes.get(*it))) {
            return Node::NO;
        }
        let Space {
            diagrams, outcomes, ..
        } = self;
        diagrams.map(node, &mut |answer| u32::from(wanted(&outcomes.get(answer))))
    }

    /// Returns yes where outcomes differ in their verdict or in any bit that is left behind.
    pub fn difference(&mut self, one: Node, two: Node) -> Node {
        let (first, second) = (self.map(one, &plain), self.map(two, &plain));
        let mut found = self.diagrams.differ(first, second);
        let mut levels = BTreeSet::new();
        for answer in [self.diagrams.answers(one), self.diagrams.answers(two)].concat() {
            levels.extend(self.outcome_of(answer).bits.into_keys());
        }
        for level in levels {
            let (one, two) = (self.bit_after(one, level), self.bit_after(two, level));
            let differ = self.diagrams.differ(one, two);
            found = self.diagrams.or_else(found, differ);
        }
        found
    }

    /// Returns yes where a bit of a mark is set afterwards.
    pub fn bit_after(&mut self, node: Node, level: Level) -> Node {
        let mut functions = BTreeMap::new();
        for answer in self.diagrams.answers(node) {
            let function = match self.outcome_of(answer).bits.get(&level) {
                None => self.diagrams.bit(level),
                Some(Bit::Is(value)) => Node::answer((*value).into()),
                Some(Bit::Of { level, not }) => {
                    let bit = self.diagrams.bit(*level);
                    if *not { self.diagrams.not(bit) } else { bit }
                }
            };
            functions.insert(answer, function);
        }
        self.diagrams.expand_some(node, &functions)
    }

    /// Returns every answer for a packet whose fields `value` tells and whose marks are clear, whatever
    /// the kernel answers where only it can.
    pub fn ask(&self, node: Node, value: &dyn Fn(Field) -> u128) -> Vec<u32> {
        let mut found = BTreeSet::new();
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            let level = self.diagrams.level(node);
            match (node.as_answer(), level) {
                (Some(answer), _) => drop(found.insert(answer)),
                (None, Some(level)) => match (self.field(level), self.marks.contains(&level)) {
                    (Some(field), _) => open.push(self.diagrams.at(node, value(field))),
                    (None, true) => open.push(self.diagrams.at(node, 0)),
                    (None, false) => {
                        open.extend([self.diagrams.at(node, 0), self.diagrams.at(node, 1)]);
                    }
                },
                (None, None) => {}
            }
        }
        found.into_iter().collect()
    }

    pub fn address(&self, value: u128) -> IpAddr {
        match self.family {
            Family::V4 => Ipv4Addr::from_bits(u32::try_from(value).unwrap_or(u32::MAX)).into(),
            Family::V6 => Ipv6Addr::from_bits(value).into(),
        }
    }
}

fn plain(outcome: &Outcome) -> Outcome {
    Outcome {
        bits: BTreeMap::new(),
        ..outcome.clone()
    }
}

/// Returns an address as a number.
pub fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Returns the addresses of prefixes as numbers.
pub(super) fn prefixes<'n>(nets: impl IntoIterator<Item = &'n IpNet>) -> IntervalSet {
    let range = |net: &IpNet| (bits(net.network()), bits(net.broadcast()));
    IntervalSet::from_ranges(nets.into_iter().map(range).collect())
}

pub(super) fn ports(ranges: &[PortRange]) -> IntervalSet {
    let range = |ports: &PortRange| (ports.first.into(), ports.last.into());
    IntervalSet::from_ranges(ranges.iter().map(range).collect())
}

fn named(atoms: &[Atom]) -> HashMap<String, u128> {
    let name = |(atom, at): (&Atom, u128)| match atom {
        Atom::None => Some((String::new(), at)),
        Atom::Name(name) => Some((name.clone(), at)),
        Atom::Beginning(_) | Atom::Other => None,
    };
    atoms.iter().zip(0..).filter_map(name).collect()
}

fn atoms<'a>(dumps: impl IntoIterator<Item = &'a Dump>, names: &[&str]) -> Vec<Atom> {
    let names = names.iter().filter(|name| !name.is_empty());
    let atom = |name: &&str| match name.strip_suffix('+') {
        Some(start) => Atom::Beginning(start.to_owned()),
        None => Atom::Name((*name).to_owned()),
    };
    let mut found: BTreeSet<Atom> = names.map(atom).collect();
    found.extend([Atom::None, Atom::Other]);
    for dump in dumps {
        let chains = dump.tables.values().flat_map(|table| table.chains.values());
        for condition in chains
            .flat_map(|chain| &chain.rules)
            .flat_map(|rule| &rule.conditions)
        {
            if let Test::Input(pattern) | Test::Output(pattern) = &condition.test {
                let name = pattern.name.clone();
                match (pattern.prefix, name.is_empty()) {
                    (_, true) => {}
                    (true, false) => drop(found.insert(Atom::Beginning(name))),
                    (false, false) => drop(found.insert(Atom::Name(name))),
                }
            }
        }
    }
    found.into_iter().collect()
}
