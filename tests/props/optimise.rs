//! Trees mean what lists mean: both are proven against the policy, and compared packet by packet.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tidegate::meaning::{Journey, validate};
use tidegate::net::Family;
use tidegate::netfilter::{
    ChainName, Conntrack, Rule, Ruleset, Shape, Table, Target, draft, lower, optimise, optimised,
    render, render_chains,
};
use tidegate::policy::ir::Policy;
use tidegate::policy::{Loaded, load};
use tidegate::question::of_policy;

use super::policies::{self, Tape};
use crate::support::files::Files;

const EDGES: usize = 20_000_000;

/// Makes trees of the shortest lists.
pub fn small_trees(policy: &Policy, family: Family) -> Ruleset {
    let shape = Shape {
        list: 2,
        long: 1,
        leaf: 1,
        shared: 2,
        fan_out: 2,
        depth: 15,
        jumps: 1_000_000,
    };
    let draft = draft(policy, family).expect("few rules");
    optimise(draft, shape).expect("few rules")
}

/// Makes one of a policy's sets so large that it is a set to the optimiser, in both families, and lets
/// most exposures name it.
fn with_large_set(text: &str) -> String {
    let members = (0..17).map(|id| format!("198.18.{0}.0/24, 2001:db8:{0:x}::/48, ", id * 3));
    let large = format!("trust t0 {{ {}", members.collect::<String>());
    let others = ["from t1", "from t2", "from any", "from outside"];
    let one = others.iter();
    let one = one.fold(text.to_owned(), |text, other| {
        text.replace(other, "from t0")
    });
    one.replace("trust t0 { ", &large)
}

/// What is in trees.
#[derive(Default)]
struct Found {
    /// Rules that lead into trees.
    into: usize,
    /// Sets with one way in for several rules.
    ways: usize,
}

/// Checks a random policy, with a large set or without, and returns what is in its trees.
fn check(bytes: &[u8], large: bool) -> Result<Found, TestCaseError> {
    let text = policies::policy(&mut Tape::new(bytes));
    if large {
        check_text(&with_large_set(&text))
    } else {
        check_text(&text)
    }
}

fn check_text(text: &str) -> Result<Found, TestCaseError> {
    let loaded = load(&Files::one(text), "policy.tide");
    let Some(policy) = loaded.policy() else {
        return Ok(Found::default());
    };
    let mut found = Found::default();
    for family in Family::BOTH {
        let plain = lower(policy, family).expect("few rules");
        let trees = small_trees(policy, family);
        let [plain, rules] =
            [&plain, &trees].map(|it| render(it, &render_chains(it, &loaded.sources)));
        let valid = validate(policy, &rules, family, EDGES);
        prop_assert!(valid.is_ok(), "{text}\n{plain}\n{rules}\n{valid:#?}");
        let machines =
            [&plain, &rules].map(|it| of_policy(policy, it, family).expect("it loads").machine);
        let mut space = Journey::space(&[&machines[0], &machines[1]], &[], EDGES);
        let [one, two] = machines
            .each_ref()
            .map(|it| Journey::new(&mut space, it).expect("no circles").node);
        prop_assert!(
            one == two,
            "{text}\n{plain}\n{rules}\nsome connections end differently"
        );
        let all = trees.chains.values().flatten();
        let into = |target: &Target| match target {
            Target::Goto(name) | Target::Jump(name) => name.as_str().contains(['.', '~']),
            _ => false,
        };
        found.into += all.filter(|rule| into(&rule.target)).count();
        let names = trees.chains.keys().map(|(_, name)| name.as_str());
        found.ways += names.filter_map(|name| name.strip_suffix(".way")).count();
    }
    Ok(found)
}

proptest! {
    // PROPTEST_CASES may ask for more.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(150),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn trees_mean_what_lists_mean(
        bytes in proptest::collection::vec(any::<u8>(), 64..2048),
        large in any::<bool>(),
    ) {
        check(&bytes, large)?;
    }
}

/// The property above is worth nothing if there are no trees.
#[test]
fn random_policies_have_trees() {
    let (mut into, mut ways) = (0, 0);
    for seed in 0..160 {
        let found = check(&super::bytes(seed), seed % 2 == 0).expect("trees and lists agree");
        into += found.into;
        ways += found.ways;
    }
    assert!(into > 200, "{into} rules lead into trees");
    assert!(ways > 20, "{ways} sets have one way in");
}

fn long() -> Loaded {
    load(&Files::one(&crate::flows::trees::long()), "policy.tide")
}

fn next(rule: &Rule) -> Option<&ChainName> {
    match &rule.target {
        Target::Goto(next) | Target::Jump(next) => Some(next),
        _ => None,
    }
}

/// Walks as a kernel does that does not remember where it was, and returns how many jumps it passes and
/// how deep it comes, base chain and engine's chain not counted.
fn walked(rules: &Ruleset, table: Table, name: &ChainName, seen: &mut Seen) -> (usize, usize) {
    seen.insert((table, name.clone()));
    let (mut jumps, mut depth) = (1, 0);
    let rules_here = rules.chains.get(&(table, name.clone()));
    for next in rules_here.expect("it is there").iter().filter_map(next) {
        let (more, below) = walked(rules, table, next, seen);
        jumps += more;
        depth = depth.max(below);
    }
    (jumps, depth + 1)
}

type Seen = BTreeSet<(Table, ChainName)>;

/// Returns the jumps reached and the depth, and the chains to which nothing leads.
fn reached(rules: &Ruleset) -> (usize, usize, Vec<String>) {
    let mut seen = Seen::new();
    let walks = rules.hooks.iter();
    let walks: Vec<_> = walks
        .map(|hook| walked(rules, hook.table, &hook.target, &mut seen))
        .collect();
    let idle = rules.chains.keys().filter(|key| !seen.contains(key));
    (
        walks.iter().map(|(jumps, _)| jumps).sum(),
        walks.iter().map(|(_, depth)| *depth).max().unwrap_or(0),
        idle.map(|(_, name)| name.to_string()).collect(),
    )
}

fn size(rules: &Ruleset) -> usize {
    rules.chains.values().map(Vec::len).sum()
}

#[test]
fn trees_are_hardly_larger_than_lists_and_not_deep() {
    let loaded = long();
    let policy = loaded.policy().expect("it is in order");
    for family in Family::BOTH {
        let plain = lower(policy, family).expect("few rules");
        let trees = optimised(policy, family).expect("few rules");
        let (jumps, depth, idle) = reached(&trees);
        assert!(
            size(&trees) * 10 <= size(&plain) * 11,
            "{family}: {} rules, {} as lists",
            size(&trees),
            size(&plain)
        );
        assert!(trees.chains.len() * 4 < size(&trees), "{family}");
        assert!(depth <= 12, "{family}: {depth} chains below each other");
        assert!(jumps <= 60_000, "{family}: {jumps} jumps");
        assert!(jumps > 100, "{family}: there are no trees");
        let list = reached(&plain).2;
        assert_eq!(idle, list, "{family}: nothing leads there");
    }
}

/// What is denied first stays denied, where a range of ports holds the port of a later rule.
#[test]
fn ranges_keep_their_order() {
    let text = "network shop {\n bridge br-shop\n subnet 10.0.0.0/24\n host-access off\n}\n\
                container web on shop at 10.0.0.10 {}\n\
                deny any -> host : 80-82/tcp\nallow web -> host : 79-80,443/tcp\nallow web -> host : 81/tcp\n";
    let loaded = load(&Files::one(text), "policy.tide");
    let policy = loaded.policy().expect("it is in order");
    let trees = small_trees(policy, Family::V4);
    let rules = render(&trees, &render_chains(&trees, &loaded.sources));
    validate(policy, &rules, Family::V4, EDGES).expect("it means the policy");
    assert!(rules.contains("TIDE-shop-host.0002"), "{rules}");
}

/// Where a bound is too narrow for trees, last chains grow, and in the end all is lists again.
#[test]
fn jumps_are_bounded() {
    let loaded = long();
    let policy = loaded.policy().expect("it is in order");
    for family in Family::BOTH {
        let with = |jumps| {
            let shape = Shape {
                jumps,
                ..Shape::default()
            };
            let draft = draft(policy, family).expect("few rules");
            optimise(draft, shape).expect("few rules")
        };
        let plain = lower(policy, family).expect("few rules");
        let free = reached(&with(usize::MAX)).0;
        let least = reached(&plain).0;
        for bound in [free - 1, free / 2, free / 4, least + 10] {
            let jumps = reached(&with(bound)).0;
            assert!(jumps <= bound, "{family}: {jumps} jumps, not {bound}");
        }
        assert_eq!(with(1).chains, plain.chains, "{family}");
    }
}

/// Nothing in a tree waits for packets that its ways do not let through.
#[test]
fn rules_of_trees_can_match() {
    let loaded = long();
    let policy = loaded.policy().expect("it is in order");
    let mut ways = 0;
    for family in Family::BOTH {
        let trees = optimised(policy, family).expect("few rules");
        for ((table, name), rules) in &trees.chains {
            for rule in rules {
                let (Some(source), Some(next)) = (rule.source, next(rule)) else {
                    continue;
                };
                if !next.as_str().contains('.') {
                    continue;
                }
                let below = &trees.chains[&(*table, next.clone())];
                let inside = |it: &Rule| it.source.is_none_or(|it| source.contains(&it));
                assert!(below.iter().all(inside), "{family}: {name} -> {next}");
                ways += 1;
            }
            // A prefix behind a wider one that ends the packet would never be asked.
            let ends = rules.iter().filter(|it| it.service.is_none());
            let nets: Vec<_> = ends.filter_map(|it| it.source).collect();
            let hidden = nets
                .iter()
                .enumerate()
                .any(|(at, net)| nets[..at].iter().any(|other| other.contains(net)));
            assert!(!hidden, "{family}: {name}");
        }
    }
    assert!(ways > 50, "{ways} ways only");
}

/// A large set is led into once, by whatever many ports.
#[test]
fn a_large_set_has_one_way_in() {
    let loaded = long();
    let policy = loaded.policy().expect("it is in order");
    for family in Family::BOTH {
        let trees = optimised(policy, family).expect("few rules");
        for table in [Table::Mangle, Table::Filter] {
            let mut names = trees.table(table).map(|(name, _)| name.as_str());
            let set = names.find_map(|name| name.strip_suffix(".way"));
            let set = set.expect("it is there");
            let leads = |to: &str| {
                let all = trees.table(table).flat_map(|(_, rules)| rules);
                let names = all.filter_map(next).filter(|it| it.as_str() == to);
                names.count()
            };
            assert_eq!(
                (leads(&format!("{set}.way")), leads(set)),
                (1, 1),
                "{family}"
            );
        }
    }
}

/// What belongs to a connection meets no tree.
#[test]
fn known_connections_come_first() {
    let loaded = long();
    let policy = loaded.policy().expect("it is in order");
    for family in Family::BOTH {
        let trees = optimised(policy, family).expect("few rules");
        for (table, name) in [(Table::Mangle, "TIDE-GATE"), (Table::Filter, "TIDE-INPUT")] {
            let rules = trees.table(table).find(|(it, _)| it.as_str() == name);
            let (_, rules) = rules.expect("it is there");
            let known = |it: &Rule| {
                let asks = it.conntrack == Some(Conntrack::Known) && !it.connmark;
                let leaves = next(it).is_none_or(|it| it.as_str() == "TIDE-KNOWN");
                asks && it.source.is_none() && leaves
            };
            let jump = |it: &Rule| next(it).is_some() && !known(it);
            let jump = rules.iter().position(jump);
            let known = rules.iter().position(known).expect("it is there");
            assert!(known <= 3 && jump.is_none_or(|jump| known < jump), "{name}");
        }
    }
}
