//! Trees mean what lists mean: both are proven against the policy, and compared packet by packet.

use proptest::prelude::*;
use tidegate::meaning::{Journey, validate};
use tidegate::net::Family;
use tidegate::netfilter::{Ruleset, Shape, Target, draft, lower, optimise, render, render_chains};
use tidegate::policy::ir::Policy;
use tidegate::policy::load;
use tidegate::question::of_policy;

use super::policies::{self, Tape};
use crate::support::files::Files;

const EDGES: usize = 20_000_000;

/// Makes trees of the shortest lists.
pub fn small_trees(policy: &Policy, family: Family) -> Ruleset {
    let shape = Shape {
        list: 2,
        leaf: 1,
        fan_out: 2,
        depth: 15,
        jumps: 1_000_000,
    };
    let draft = draft(policy, family).expect("few rules");
    optimise(draft, shape).expect("few rules")
}

/// Returns how many rules lead into trees.
fn check(bytes: &[u8]) -> Result<usize, TestCaseError> {
    let text = policies::policy(&mut Tape::new(bytes));
    let loaded = load(&Files::one(&text), "policy.tide");
    let Some(policy) = loaded.policy() else {
        return Ok(0);
    };
    let mut found = 0;
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
        found += all.filter(|rule| into(&rule.target)).count();
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
    fn trees_mean_what_lists_mean(bytes in proptest::collection::vec(any::<u8>(), 64..2048)) {
        check(&bytes)?;
    }
}

/// The property above is worth nothing if there are no trees.
#[test]
fn random_policies_have_trees() {
    let mut found = 0;
    for seed in 0..40 {
        found += check(&super::bytes(seed)).expect("trees and lists agree");
    }
    assert!(found > 200, "{found} rules lead into trees");
}
