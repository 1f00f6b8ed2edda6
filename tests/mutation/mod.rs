//! Is the proof worth anything? Every rule of every case is made wrong in every way that
//! `mutants.rs` knows, and the proof has to notice all that changes what becomes of any packet.

mod mutants;

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidegate::diagram::Node;
use tidegate::meaning::{Chains, Fate, Field, Journey, Space, bits, validate};
use tidegate::net::IntervalSet;
use tidegate::netfilter::dump::{ChainPolicy, Dump, read};
use tidegate::netfilter::trace::Machine;
use tidegate::netfilter::{Family, Ruleset, lower, render, render_chains};
use tidegate::policy::ir::{Backend, Engine, Policy, Release};
use tidegate::policy::load;
use tidegate::question;

use crate::flows;
use crate::props::optimise::small_trees;
use crate::props::policies::{self, Tape};
use crate::support::files::Files;

const EDGES: usize = 8_000_000;

/// What became of mutants.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    /// That iptables would not load either.
    broken: usize,
    noticed: usize,
    /// Of which no packet notices anything at any hook.
    same: usize,
    /// That no packet notices which the raw table lets come, and no connection on any engine.
    unreachable: usize,
    missed: usize,
}

impl std::ops::Add for Count {
    type Output = Count;

    fn add(self, other: Count) -> Count {
        Count {
            broken: self.broken + other.broken,
            noticed: self.noticed + other.noticed,
            same: self.same + other.same,
            unreachable: self.unreachable + other.unreachable,
            missed: self.missed + other.missed,
        }
    }
}

/// Returns the rules as they are loaded below an engine's chain.
fn loaded(policy: &Policy, text: &str, family: Family) -> Option<Dump> {
    let chain = "*filter\n:FORWARD ACCEPT\n:DOCKER-USER -\n-A FORWARD -j DOCKER-USER\nCOMMIT\n";
    let base = if policy.host.engine.has_docker_user() {
        chain
    } else {
        ""
    };
    let mut dump = read(base, family).expect("it is in order");
    dump.load(text, family).ok()?;
    Some(dump)
}

/// Tells whether two texts do the same to every packet at every hook.
fn is_same(one: &Dump, other: &Dump, family: Family) -> bool {
    let mut space = Space::new(family, [one, other], &["eth0", "lo"], EDGES);
    for table in ["raw", "mangle", "nat", "filter"] {
        for chain in ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] {
            let mut node = |dump: &Dump| {
                let table_of = dump.tables.get(table)?;
                let policy = table_of.chains.get(chain).and_then(|it| it.policy);
                let node = Chains::new(table, table_of).chain(&mut space, chain).ok()?;
                Some((node, policy == Some(ChainPolicy::Drop)))
            };
            let (one, other) = (node(one), node(other));
            let (one, other) = (
                one.unwrap_or((Node::NO, false)),
                other.unwrap_or((Node::NO, false)),
            );
            if one.1 != other.1 || space.difference(one.0, other.0) != Node::NO {
                return false;
            }
        }
    }
    true
}

/// Returns the policy for engines that drop what is routed, and for one that does not.
fn engines(policy: &Policy) -> Vec<Policy> {
    let Engine::Docker {
        backend: Backend::Iptables,
        release,
    } = policy.host.engine
    else {
        return vec![policy.clone()];
    };
    let with = |version: (u32, u32)| {
        let mut policy = policy.clone();
        policy.host.engine = Engine::Docker {
            release: Some(Release {
                major: version.0,
                minor: Some(version.1),
            }),
            backend: Backend::Iptables,
        };
        policy
    };
    let fits = |it: &&(u32, u32)| {
        let user = |version: (u32, u32)| version >= (17, 6);
        user(**it) == release.is_none_or(|release| user(release.first()))
    };
    [(1, 12), (20, 10), (28, 2)]
        .iter()
        .filter(fits)
        .map(|it| with(*it))
        .collect()
}

/// Returns no where a packet claims an address of a network that it does not come from: where that is not
/// refused, nobody can tell whose it is.
fn honest(space: &mut Space, machine: &Machine) -> Node {
    let mut found = Node::YES;
    for link in &machine.interfaces {
        let ranges = link
            .addresses
            .iter()
            .map(|net| (bits(net.network()), bits(net.broadcast())));
        let own = IntervalSet::from_ranges(ranges.collect());
        let (atom, none) = (space.atom(&link.name), space.atom(""));
        let inputs = IntervalSet::from_ranges(vec![(atom, atom), (none, none)]);
        let (own, here) = (
            space.within(Field::Source, &own),
            space.within(Field::Input, &inputs),
        );
        let claimed = space.diagrams.except(own, here);
        found = space.diagrams.except(found, claimed);
    }
    found
}

/// Tells whether every first packet of a connection has the same fate, whatever engine runs.
fn is_same_for_connections(policy: &Policy, one: &str, other: &str, family: Family) -> bool {
    engines(policy).iter().all(|policy| {
        let machine = |text| {
            question::of_policy(policy, text, family)
                .expect("it loads")
                .machine
        };
        let machines = [machine(one), machine(other)];
        let mut space = Journey::space(&[&machines[0], &machines[1]], &[], EDGES);
        let mut ends = |machine| {
            let journey = Journey::new(&mut space, machine).expect("no circles");
            let answers = space.diagrams.answers(journey.node);
            let fates: BTreeMap<u32, Fate> = answers
                .into_iter()
                .map(|it| (it, journey.fate(it)))
                .collect();
            (journey.node, fates)
        };
        let ((one, first), (other, second)) = (ends(&machines[0]), ends(&machines[1]));
        let differ = space
            .diagrams
            .zip(one, other, &mut |a, b| u32::from(first[&a] != second[&b]));
        let honest = honest(&mut space, &machines[0]);
        space.diagrams.guard(honest, differ) == Node::NO
    })
}

fn judge(policy: &Policy, text: &str, family: Family) -> Count {
    let mut count = Count::default();
    assert!(validate(policy, text, family, EDGES).is_ok(), "it is right");
    let right = loaded(policy, text, family).expect("it loads");
    for mutant in mutants::mutants(text) {
        let Some(dump) = loaded(policy, &mutant.text, family) else {
            count.broken += 1;
            continue;
        };
        if validate(policy, &mutant.text, family, EDGES).is_err() {
            count.noticed += 1;
        } else if is_same(&right, &dump, family) {
            count.same += 1;
        } else if is_same_for_connections(policy, text, &mutant.text, family) {
            count.unreachable += 1;
        } else {
            count.missed += 1;
            eprintln!("missed: {family}: {}", mutant.what);
        }
    }
    count
}

fn report(what: &str, count: Count) {
    eprintln!("{what}: {count:?}");
    assert_eq!(count.missed, 0, "a wrong rule was taken for right");
    assert!(
        count.noticed > count.same + count.unreachable,
        "most mistakes show"
    );
}

#[test]
fn no_wrong_rule_of_a_case_is_taken_for_right() {
    let mut count = Count::default();
    for case in flows::cases() {
        for family in Family::BOTH {
            count = count + judge(&case.policy, case.bundle.rules(family), family);
        }
    }
    report("rules of all cases", count);
}

/// Random policies of which each is small.
fn random(what: &str, cases: u32, rules: fn(&Policy, Family) -> Ruleset) {
    let mut count = Count::default();
    for seed in 0..cases {
        let byte = |at: u32| (seed.wrapping_mul(2_654_435_761).wrapping_add(at * 97) >> 7) as u8;
        let bytes: Vec<u8> = (0..900)
            .map(|at| byte(at) ^ (at as u8).wrapping_mul(31))
            .collect();
        let text = policies::policy(&mut Tape::new(&bytes));
        let loaded = load(&Files::one(&text), "policy.tide");
        let Some(policy) = loaded.policy() else {
            continue;
        };
        for family in Family::BOTH {
            let rules = rules(policy, family);
            let rules = render(&rules, &render_chains(&rules, &loaded.sources));
            count = count + judge(policy, &rules, family);
        }
    }
    report(what, count);
}

#[test]
fn no_wrong_rule_of_a_random_policy_is_taken_for_right() {
    let cases = ProptestConfig::default().cases.min(12);
    let lists = |policy: &Policy, family| lower(policy, family).expect("few rules");
    random("rules of random policies", cases, lists);
}

/// A jump to the wrong chain or of the wrong kind, a last chain without rules, a way too wide.
#[test]
fn no_wrong_rule_of_a_tree_is_taken_for_right() {
    let cases = ProptestConfig::default().cases.min(6);
    random("trees of random policies", cases, small_trees);
}
