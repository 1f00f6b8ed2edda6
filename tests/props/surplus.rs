//! What is told to be needless is needless, for all packets at once and all of it together; and what is not
//! told is needed.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tidegate::diag::{Diagnostic, code};
use tidegate::diagram::Node;
use tidegate::lint::lint;
use tidegate::meaning::{Chains, Field, Invalid, Space, Verdict, validate};
use tidegate::netfilter::dump::{Dump, read};
use tidegate::netfilter::{Family, Ruleset, Verdict as Walked, lower, render, render_chains};
use tidegate::policy::ir::{Effect, Party, Policy};
use tidegate::policy::{Loaded, load};
use tidegate::question;
use tidegate::source::Span;

use super::diff::side;
use super::idle::{fates, idler, mended, to_exposed};
use super::oracle::{self, Fate};
use super::policies::{self, Tape};
use super::through_raw;
use crate::support::files::Files;

const EDGES: usize = 20_000_000;
const PACKETS: usize = 60;

/// Hooks at which something is refused, and whether packets have interfaces there.
const HOOKS: [(&str, &str, bool, bool); 3] = [
    ("mangle", "FORWARD", true, true),
    ("filter", "INPUT", true, false),
    ("filter", "OUTPUT", false, true),
];

fn text_of(loaded: &Loaded, policy: &Policy, family: Family) -> String {
    let rules = lower(policy, family).expect("few rules");
    render(&rules, &render_chains(&rules, &loaded.sources))
}

fn dump_of(rules: &str, family: Family) -> Dump {
    let engine = "*filter\n:DOCKER-USER - [0:0]\nCOMMIT\n";
    read(&format!("{engine}{rules}"), family).expect("rules")
}

/// Returns where rules drop a packet at a hook.
fn dropped(space: &mut Space, dump: &Dump, table: &str, chain: &str) -> Node {
    let Some(rules) = dump.tables.get(table) else {
        return Node::NO;
    };
    let mut chains = Chains::new(table, rules);
    let does = chains.chain(space, chain).expect("no circles");
    space.where_outcome(does, &|outcome| outcome.verdict == Verdict::Drop)
}

/// Returns a hook at which two rule sets do not drop the same of what gets there.
fn differ(one: &str, two: &str, family: Family) -> Option<&'static str> {
    let [one, two] = [one, two].map(|it| dump_of(it, family));
    let mut space = Space::new(family, [&one, &two], &["lo"], EDGES);
    let [false_one, false_two] =
        [&one, &two].map(|it| dropped(&mut space, it, "raw", "PREROUTING"));
    if false_one != false_two {
        return Some("raw");
    }
    let mut hooks = HOOKS.iter();
    let differs = |(table, chain, input, output): &&(&str, &str, bool, bool)| {
        let [one, two] = [&one, &two].map(|it| dropped(&mut space, it, table, chain));
        let mut found = space.diagrams.differ(one, two);
        for (field, there) in [(Field::Input, *input), (Field::Output, *output)] {
            let none = space.atom("");
            let none = space.is(field, none);
            found = if there {
                space.diagrams.except(found, none)
            } else {
                space.diagrams.guard(none, found)
            };
        }
        if *chain != "OUTPUT" {
            found = space.diagrams.except(found, false_one);
        }
        assert!(!space.diagrams.is_exhausted(), "small policies");
        found != Node::NO
    };
    hooks.find(differs).map(|(_, chain, ..)| *chain)
}

fn is_exact(found: &Diagnostic) -> bool {
    [
        code::CANCELLED,
        code::DENIES_NOTHING,
        code::HOST_LEFT_OPEN,
        code::NOTHING_NEW,
        code::REPEATED,
        code::SPARE_SOURCE,
    ]
    .contains(&found.code)
}

/// Returns the policy without all that is told, and that.
fn bare(policy: &Policy) -> (Policy, Vec<Diagnostic>) {
    let mut all = lint(std::slice::from_ref(policy));
    all.retain(is_exact);
    (without(policy, &all), all)
}

fn without(policy: &Policy, told: &[Diagnostic]) -> Policy {
    let mend = |so_far: Policy, it: &Diagnostic| mended(&so_far, it).expect("it can be mended");
    told.iter().fold(policy.clone(), mend)
}

/// Rules without what is needless have to mean what the policy with it says. What is denied again, raw need
/// not let by.
fn is_valid(policy: &Policy, rules: &str, family: Family) -> Result<(), String> {
    match validate(policy, rules, family, EDGES) {
        Err(Invalid::Differs(found)) if found.table == "raw" && has_denials(policy) => Ok(()),
        other => other.map_err(|error| error.to_string()),
    }
}

fn has_denials(policy: &Policy) -> bool {
    policy.accesses.iter().any(|it| it.effect == Effect::Deny)
}

/// Tells whether rules let by in `raw` what they let pass over containers' own addresses.
fn lets_by(policy: &Policy, rules: &Ruleset, packet: &tidegate::netfilter::Packet) -> bool {
    let Some(network) = oracle::network_of(policy, &packet.output) else {
        return true;
    };
    let network = &policy.networks[network.0];
    let routed = packet.conn.translated_from.is_none()
        && packet.input != packet.output
        && network
            .subnets
            .iter()
            .any(|it| it.contains(&packet.destination));
    let passes = fates(rules, packet)[0] != Fate::Dropped;
    !routed || !passes || through_raw(rules, packet) == Walked::Accept
}

fn check(bytes: &[u8]) -> Result<usize, TestCaseError> {
    let mut tape = Tape::new(bytes);
    let text = policies::policy(&mut tape);
    let text = idler(&mut tape, &text);
    let loaded = load(&Files::one(&text), "policy.tide");
    let Some(policy) = loaded.policy() else {
        return Ok(0);
    };
    let (bare, told) = bare(policy);
    for family in Family::BOTH {
        let [before, after] = [policy, &bare].map(|it| text_of(&loaded, it, family));
        let differ = differ(&before, &after, family);
        prop_assert!(differ.is_none(), "{text}\n{told:#?}\nat {differ:?}");
        let valid = is_valid(policy, &after, family);
        prop_assert!(valid.is_ok(), "{text}\n{told:#?}\n{valid:?}");
        let rules = lower(&bare, family).expect("few rules");
        for _ in 0..PACKETS {
            let mut packet = policies::packet(&mut tape, family == Family::V6, false);
            policies::aim(&mut tape, policy, &mut packet);
            to_exposed(&mut tape, policy, &mut packet);
            let engine = !oracle::no_engine(policy);
            prop_assert!(
                !engine || lets_by(&bare, &rules, &packet),
                "{text}\n{packet:?}"
            );
        }
    }
    Ok(told.len())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(200),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn all_that_is_told_may_go_at_once(bytes in proptest::collection::vec(any::<u8>(), 64..2048)) {
        check(&bytes)?;
    }
}

/// Returns a policy's text without a statement that is told; of a port that is not published the `from` goes.
/// A published port is closed to all others by its statement, so that cannot go.
fn cut(text: &str, told: &Diagnostic) -> Option<String> {
    let span = told.labels.iter().find(|label| label.primary)?.span;
    let (start, end) = (span.start as usize, span.end as usize);
    let said = &text[start..end];
    let kept = match said.find(" from ") {
        Some(_) if said.contains(" as ") => return None,
        Some(from) => &said[..from],
        None => "",
    };
    Some(format!("{}{kept}{}", &text[..start], &text[end..]))
}

/// Tells whether `diff` has nothing to say of two texts.
fn are_one(before: &str, after: &str) -> bool {
    Family::BOTH.into_iter().all(|family| {
        let mut before = side(before, None, family).expect("it loaded");
        let Some(mut after) = side(after, Some(&before), family) else {
            return false;
        };
        question::on_one_host(&mut before, &mut after);
        let found = question::differences(&before, &after).expect("few rules");
        found.rows.is_empty()
    })
}

/// Takes each statement out, one at a time, without which the policy is told to mean the same.
fn agrees_with_diff(bytes: &[u8]) -> Result<usize, TestCaseError> {
    let mut tape = Tape::new(bytes);
    let text = policies::policy(&mut tape);
    let text = idler(&mut tape, &text);
    let loaded = load(&Files::one(&text), "policy.tide");
    let Some(policy) = loaded.policy() else {
        return Ok(0);
    };
    let mut told = lint(std::slice::from_ref(policy));
    told.retain(|it| it.code == code::NOTHING_NEW || it.code == code::DENIES_NOTHING);
    for it in &told {
        if let Some(cut) = cut(&text, it) {
            prop_assert!(are_one(&text, &cut), "{text}\n{it:#?}\n{cut}");
        }
    }
    Ok(told.len())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.min(40),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_told_is_nothing_to_diff(bytes in proptest::collection::vec(any::<u8>(), 64..2048)) {
        agrees_with_diff(&bytes)?;
    }
}

/// A published port is closed to all others by its statement, whatever lets its own sources in as well.
#[test]
fn a_published_port_is_never_told() {
    for setting in ["host-access off", "host-access on", "egress on"] {
        let text = format!(
            "host {{\n  uplink eth0\n  forwarding on\n  forward drop\n}}\n\
             network web {{\n  bridge br-web\n  subnet 172.34.0.0/24\n  icc on\n  {setting}\n}}\n\
             container api on web {{\n  expose 9527/tcp as 9527 from web\n}}\n"
        );
        let loaded = load(&Files::one(&text), "policy.tide");
        let told = lint(std::slice::from_ref(loaded.policy().expect("no mistake")));
        assert!(
            told.iter().all(|it| it.code != code::NOTHING_NEW),
            "{told:#?}"
        );
        let without = text.replace("  expose 9527/tcp as 9527 from web\n", "");
        assert!(!are_one(&text, &without), "{setting}");
    }
}

/// Returns the statements of an effect that are about others than the host.
fn statements(policy: &Policy, effect: Effect) -> BTreeSet<Span> {
    let host = |parties: &[Party]| {
        let mut parties = parties.iter();
        parties.any(|it| matches!(it, Party::Any | Party::Host))
    };
    let apart = policy.accesses.iter().filter(|it| !host(&it.left));
    let apart = apart.filter(|it| it.effect == effect);
    apart.map(|access| access.span).collect()
}

fn needed(bytes: &[u8]) -> Result<usize, TestCaseError> {
    let mut tape = Tape::new(bytes);
    let text = policies::policy(&mut tape);
    let text = idler(&mut tape, &text);
    let loaded = load(&Files::one(&text), "policy.tide");
    let Some(policy) = loaded.policy() else {
        return Ok(0);
    };
    let (bare, told) = bare(policy);
    // Without what it cancels, a denial has nothing to deny.
    let opens = [code::CANCELLED, code::HOST_LEFT_OPEN, code::NOTHING_NEW];
    let denials: Vec<Diagnostic> = told
        .into_iter()
        .filter(|it| !opens.contains(&it.code))
        .collect();
    let denying = without(policy, &denials);
    let mut count = 0;
    for (whole, effect) in [(&bare, Effect::Allow), (&denying, Effect::Deny)] {
        for span in statements(whole, effect) {
            let mut without = whole.clone();
            without.accesses.retain(|access| access.span != span);
            let differs = Family::BOTH.into_iter().any(|family| {
                let [with, without] = [whole, &without].map(|it| text_of(&loaded, it, family));
                differ(&with, &without, family).is_some()
            });
            let said = &text[span.start as usize..span.end as usize];
            prop_assert!(differs, "{text}\n{said} is not told");
            count += 1;
        }
    }
    Ok(count)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(200),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_not_told_is_needed(bytes in proptest::collection::vec(any::<u8>(), 64..2048)) {
        needed(&bytes)?;
    }
}

/// The properties above are worth nothing where nothing is told, or all is.
#[test]
fn some_is_needed_and_some_is_not() {
    let (mut told, mut not, mut cut) = (0, 0, 0);
    for seed in 0..60u32 {
        told += check(&super::bytes(seed)).expect("needless is needless");
        cut += agrees_with_diff(&super::bytes(seed)).expect("nothing to diff");
        not += needed(&super::bytes(seed)).expect("needed is needed");
    }
    assert!(
        told > 20 && not > 20 && cut > 10,
        "{told} told, {not} not, {cut} cut"
    );
}
