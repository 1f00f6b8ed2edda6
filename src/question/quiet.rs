//! Rules that stand in one text alone, and why no first packet of a connection notices.

use std::collections::{BTreeMap, BTreeSet};

use crate::netfilter::dump::{Action, Condition, Dump, DumpRule, DumpTable, States, Test};

/// Most pairs of rules that are held against each other; beyond, other words count as another rule.
const MAX_PAIRS: usize = 10_000_000;

/// The kernel's own chains, iptables(8).
pub(super) const BUILT_IN: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// Why a rule that stands in one text alone changes no new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quiet {
    /// Packets of known connections, or of none, are told apart; nobody has compared those.
    Known,
    /// Rules before it decide the same, or it meets nobody's first packet.
    Never,
    /// No chain of the kernel leads to it.
    Nowhere,
    /// It logs or counts.
    NoVerdict,
}

impl Quiet {
    /// Tells whether packets that no new connection has may be treated otherwise.
    pub fn is_open(self) -> bool {
        matches!(self, Quiet::Known | Quiet::Never)
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Quiet::Known => "it is not about first packets of connections",
            Quiet::Never => "no first packet of a connection is treated otherwise",
            Quiet::Nowhere => "no chain of the kernel leads to it",
            Quiet::NoVerdict => "it has no verdict",
        }
    }
}

/// What stands in one text alone, as a line of iptables-save(8), and why nobody notices.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unnoticed {
    pub why: Quiet,
    pub line: String,
    /// Whether it is the second text that has it.
    pub is_new: bool,
}

/// Returns what one of two texts has alone.
pub(super) fn unnoticed(before: &Dump, after: &Dump) -> Vec<Unnoticed> {
    let mut found = BTreeSet::new();
    let none = DumpTable::default();
    let tables: BTreeSet<&String> = before.tables.keys().chain(after.tables.keys()).collect();
    for table in tables {
        let sides = [before, after].map(|dump| dump.tables.get(table).unwrap_or(&none));
        let led_to = sides.map(led_to);
        let names = sides.iter().flat_map(|it| it.chains.keys());
        for chain in names.collect::<BTreeSet<_>>() {
            let nowhere = led_to.iter().all(|it| !it.contains(chain.as_str()));
            found.extend(
                of_chain(sides, chain, nowhere).map(|(why, is_new, text)| Unnoticed {
                    why,
                    line: format!("-t {table} {text}"),
                    is_new,
                }),
            );
        }
    }
    found.into_iter().collect()
}

/// Returns what one side of a chain has alone; where only the order differs, that.
fn of_chain<'t>(
    sides: [&'t DumpTable; 2],
    chain: &'t str,
    nowhere: bool,
) -> impl Iterator<Item = (Quiet, bool, String)> + 't {
    let chains = sides.map(|side| side.chains.get(chain));
    let rules = chains.map(|it| it.map_or_else(Vec::new, |it| it.rules.iter().collect()));
    let [old, new] = [alone(&rules[0], &rules[1]), alone(&rules[1], &rules[0])];
    let same = |(one, two): (&&DumpRule, &&DumpRule)| key(one) == key(two);
    let in_order = rules[0].len() == rules[1].len() && rules[0].iter().zip(&rules[1]).all(same);
    let reordered = (old.is_empty() && new.is_empty() && !in_order).then(|| {
        let why = if nowhere {
            Quiet::Nowhere
        } else {
            Quiet::Never
        };
        (why, true, format!("-A {chain}, in another order"))
    });
    let policies = chains.map(|it| it.and_then(|it| it.policy));
    let policy = match policies {
        [Some(old), Some(new)] if old != new => {
            Some((Quiet::Never, true, format!("-P {chain} {}", new.name())))
        }
        _ => None,
    };
    let told = [(false, old), (true, new)]
        .into_iter()
        .flat_map(|(is_new, rules)| rules.into_iter().map(move |rule| (is_new, rule)));
    let told = told.map(move |(is_new, rule)| {
        let why = if nowhere { Quiet::Nowhere } else { why(rule) };
        (why, is_new, format!("-A {chain} {}", rule.text))
    });
    told.chain(reordered).chain(policy)
}

/// What a rule does, whatever its text.
fn key(rule: &DumpRule) -> (&[Condition], &Action) {
    (&rule.conditions, &rule.action)
}

/// Returns the rules that others have not, or not as often.
fn alone<'r>(these: &[&'r DumpRule], others: &[&DumpRule]) -> Vec<&'r DumpRule> {
    // By the text first: long chains differ in few rules.
    let mut texts: BTreeMap<&str, usize> = BTreeMap::new();
    for rule in others {
        *texts.entry(&rule.text).or_default() += 1;
    }
    let mut found = Vec::new();
    for rule in these {
        match texts.get_mut(rule.text.as_str()) {
            Some(count) if *count > 0 => *count -= 1,
            _ => found.push(*rule),
        }
    }
    if found.len() * others.len() <= MAX_PAIRS {
        found.retain(|rule| !others.iter().any(|other| key(other) == key(rule)));
    }
    found
}

fn why(rule: &DumpRule) -> Quiet {
    // A first packet is of a new connection, and may have been translated.
    let first = States::NEW.with(States::SNAT).with(States::DNAT);
    let known = |condition: &Condition| match condition.test {
        Test::Conntrack(states) => states.overlaps(first) == condition.not,
        _ => false,
    };
    match rule.action {
        _ if rule.conditions.iter().any(known) => Quiet::Known,
        Action::Continue => Quiet::NoVerdict,
        _ => Quiet::Never,
    }
}

/// Returns the chains that some chain of the kernel leads to.
fn led_to(table: &DumpTable) -> BTreeSet<&str> {
    BUILT_IN
        .iter()
        .flat_map(|from| reached(table, from))
        .collect()
}

/// Returns a chain and all that it leads to; nothing where there is none of that name.
pub(super) fn reached<'t>(table: &'t DumpTable, from: &str) -> BTreeSet<&'t str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = vec![from];
    while let Some(name) = open.pop() {
        let Some((name, chain)) = table.chains.get_key_value(name) else {
            continue;
        };
        if found.insert(name.as_str()) {
            open.extend(chain.rules.iter().filter_map(|rule| match &rule.action {
                Action::Jump(to) | Action::Goto(to) => Some(to.as_str()),
                _ => None,
            }));
        }
    }
    found
}
