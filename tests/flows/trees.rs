//! Long lists as trees: what the kernel makes of their jumps, packet by packet.

use std::fmt::Write;

use tidegate::netfilter::{Family, Ruleset, optimised, render, render_chains};
use tidegate::policy::ir::Policy;
use tidegate::policy::load;
use tidegate::question::of_policy;
use tidegate::source::SourceMap;

use super::bounds::{Tally, any, random, rules_of};
use crate::props::optimise::small_trees;
use crate::support::files::Files;
use crate::support::ns::is_root;

/// Prefixes of each family in the set that several ports share.
const PREFIXES: u32 = 1_200;
/// Ports that share it: so many that it gets one way in.
const SHARING: u32 = 16;
/// Ports that share a set of few prefixes, each of which leads there by itself.
const SHARING_FEW: u32 = 3;
/// Prefixes of that set.
const FEW: u32 = 40;
/// Ports that are each for a source of their own.
const PORTS: u32 = 200;

/// Returns a policy whose lists are long in each way: a large set, many ports, and both together.
pub fn long() -> String {
    let mut text = "host {\n  uplink eth0\n  forwarding on\n  forward drop\n}\n\
        network shop {\n  bridge br-shop\n  subnet 10.128.0.0/16, fd00:1::/64\n}\n\
        trust many {\n"
        .to_owned();
    for id in 0..PREFIXES {
        let [a, b, c, d] = (0x0b00_0000 + id * 24_576).to_be_bytes();
        let (four, six) = (20 + id % 12, 40 + id % 9);
        let _ = writeln!(
            text,
            "  {a}.{b}.{c}.{d}/{four}\n  2001:{:x}::/{six}",
            id * 7
        );
    }
    text.push_str("}\ntrust few {\n");
    for id in 0..FEW {
        let _ = writeln!(text, "  198.19.{id}.0/25\n  2001:db8:f{id:x}::/48");
    }
    text.push_str("}\n");
    for id in 0..SHARING + SHARING_FEW {
        let set = if id < SHARING { "many" } else { "few" };
        let _ = writeln!(
            text,
            "container m{id} on shop at 10.128.1.{0}, fd00:1::1:{0} {{\n  expose 80/tcp as {1} from {set}\n}}",
            id + 2,
            8080 + id
        );
    }
    for id in 0..PORTS {
        let _ = writeln!(
            text,
            "trust s{id} {{ 198.18.{0}.{1}, 2001:db8:{id:x}::1 }}\n\
             container c{id} on shop at 10.128.2.{1}, fd00:1::2:{id:x} {{\n  expose 80/tcp as {2} from s{id}\n}}",
            id / 100,
            id + 2,
            10_000 + id * 3
        );
    }
    text
}

fn add(
    tally: &mut Tally,
    name: &str,
    (policy, sources): (&Policy, &SourceMap),
    trees: fn(&Policy, Family) -> Ruleset,
) {
    for family in Family::BOTH {
        let rules = trees(policy, family);
        let rules = render(&rules, &render_chains(&rules, sources));
        let machine = of_policy(policy, &rules, family).expect("rules that load");
        let texts = rules_of(policy, &rules, family);
        tally.add(name, &machine.machine, &texts, any);
    }
}

#[test]
fn the_kernel_agrees_on_trees_of_random_policies() {
    if !is_root() {
        return;
    }
    let mut tally = Tally::default();
    for (policy, sources) in (0..).filter_map(random).take(8) {
        add(&mut tally, "random", (&policy, &sources), small_trees);
    }
    tally.end(2_000);
}

#[test]
fn the_kernel_agrees_on_trees_of_thousands_of_sources() {
    if !is_root() {
        return;
    }
    let loaded = load(&Files::one(&long()), "policy.tide");
    let policy = loaded.policy().expect("it is in order");
    let mut tally = Tally::default();
    let trees = |policy: &Policy, family| optimised(policy, family).expect("few rules");
    add(&mut tally, "long", (policy, &loaded.sources), trees);
    tally.end(10_000);
}
