//! Properties over random policies: the rules mean what the policy says.

pub mod dice;
mod diff;
pub mod dump_machines;
pub mod dump_rules;
mod dumps;
mod expect;
pub mod fmt;
mod idle;
mod machine;
mod matrix;
mod no_engine;
pub mod optimise;
mod oracle;
mod parsers;
pub mod policies;
mod saved;
mod surplus;
pub mod symbolic;
mod text;

use proptest::prelude::*;
use tidegate::netfilter::{Family, Packet, Ruleset, Table, Verdict, lower, walk};
use tidegate::policy::ir::Policy;
use tidegate::policy::load;

use crate::support::files::Files;
use oracle::Fate;
use policies::Tape;

/// Random policies may contradict themselves; those that do are not what is tested here.
fn resolved(text: &str) -> Option<Policy> {
    load(&Files::one(text), "policy.tide").policy().cloned()
}

/// Sends a packet through the hooks of a forwarded packet in the kernel's order.
fn forward(ruleset: &Ruleset, packet: &mut Packet) -> Fate {
    if through_raw(ruleset, packet) == Verdict::Drop {
        return Fate::Dropped;
    }
    match walk(ruleset, Table::Mangle, "TIDE-GATE", packet).verdict {
        Verdict::Drop => Fate::Dropped,
        Verdict::Accept | Verdict::Return => {
            match walk(ruleset, Table::Filter, "TIDE-PASS", packet).verdict {
                Verdict::Accept => Fate::Granted,
                Verdict::Drop => Fate::Dropped,
                Verdict::Return => Fate::Left,
            }
        }
    }
}

/// `raw` comes before DNAT.
fn through_raw(ruleset: &Ruleset, packet: &Packet) -> Verdict {
    let mut before = packet.clone();
    if let Some((address, port)) = packet.conn.translated_from {
        (before.destination, before.port) = (address, port);
    }
    before.conn.translated_from = None;
    before.output = String::new();
    walk(ruleset, Table::Raw, "TIDE-RAW", &mut before).verdict
}

fn to_host(ruleset: &Ruleset, packet: &mut Packet) -> Fate {
    if through_raw(ruleset, packet) == Verdict::Drop {
        return Fate::Dropped;
    }
    match walk(ruleset, Table::Filter, "TIDE-INPUT", packet).verdict {
        Verdict::Drop => Fate::Dropped,
        Verdict::Accept | Verdict::Return => Fate::Left,
    }
}

/// Sends a packet of the host's own through the only chain of ours that it meets.
fn from_host(ruleset: &Ruleset, packet: &mut Packet) -> Fate {
    let mut chains = ruleset.table(Table::Filter);
    let has_chain = chains.any(|(name, _)| name.as_str() == "TIDE-OUTPUT");
    let dropped =
        has_chain && walk(ruleset, Table::Filter, "TIDE-OUTPUT", packet).verdict == Verdict::Drop;
    if dropped { Fate::Dropped } else { Fate::Left }
}

/// A granted connection keeps its source from one declared network to another, and needs the
/// engine's masquerade to leave the host. Other cases are as they may be.
fn source_kept(policy: &Policy, ruleset: &Ruleset, packet: &Packet) -> bool {
    if oracle::no_engine(policy) {
        return no_engine::source_is_right(policy, ruleset, packet);
    }
    let named = |(table, name): &(Table, _)| {
        let name: &tidegate::netfilter::ChainName = name;
        *table == Table::Nat && name.as_str() == "TIDE-NAT"
    };
    let mut packet = packet.clone();
    packet.mark |= ruleset.grant;
    let kept = ruleset.chains.keys().any(named)
        && walk(ruleset, Table::Nat, "TIDE-NAT", &mut packet).verdict == Verdict::Accept;
    let own = policy.networks.iter().flat_map(|network| &network.subnets);
    let ours = own.clone().any(|subnet| subnet.contains(&packet.source));
    let enters = oracle::network_of(policy, &packet.output).is_some();
    !kept || enters && ours && packet.conn.translated_from.is_none()
}

fn agrees(said: Fate, done: Fate) -> bool {
    said == done || said == Fate::Passes && done != Fate::Dropped
}

const PACKETS: usize = 60;

fn check(bytes: &[u8], rules: fn(&Policy, Family) -> Ruleset) -> Result<bool, TestCaseError> {
    let mut tape = Tape::new(bytes);
    let text = policies::policy(&mut tape);
    let Some(mut policy) = resolved(&text) else {
        return Ok(false);
    };
    policies::surround(&mut tape, &mut policy);
    for family in Family::BOTH {
        let ruleset = rules(&policy, family);
        for _ in 0..PACKETS {
            let kind = tape.below(6);
            let (here, own) = (kind == 0, kind == 1);
            let mut packet = policies::packet(&mut tape, family == Family::V6, here);
            policies::aim(&mut tape, &policy, &mut packet);
            if own {
                packet.input.clear();
                let said = oracle::from_host(&policy, &packet);
                let done = from_host(&ruleset, &mut packet.clone());
                prop_assert!(
                    said == done,
                    "{text}\n{packet:?}\nof the host itself, the policy says {said:?}, the rules {done:?}"
                );
                continue;
            }
            let (said, done) = if here {
                (
                    oracle::to_host(&policy, &packet),
                    to_host(&ruleset, &mut packet.clone()),
                )
            } else {
                (
                    oracle::forwarded(&policy, &packet),
                    forward(&ruleset, &mut packet.clone()),
                )
            };
            prop_assert!(
                !here || no_engine::leads_where_it_should(&policy, &ruleset, &packet),
                "{text}\n{packet:?}\nit is not translated as the policy says"
            );
            prop_assert!(
                here || no_engine::leaves_alone(&policy, &ruleset, &packet),
                "{text}\n{packet:?}\nwhat goes elsewhere is translated"
            );
            prop_assert!(
                here || done != Fate::Granted || source_kept(&policy, &ruleset, &packet),
                "{text}\n{packet:?}\nits source is kept, or not, against the policy"
            );
            prop_assert!(
                agrees(said, done),
                "{text}\n{packet:?}\nthe policy says {said:?}, the rules {done:?}"
            );
        }
    }
    Ok(true)
}

proptest! {
    // PROPTEST_CASES may ask for more.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(400),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_rules_mean_what_the_policy_says(bytes in proptest::collection::vec(any::<u8>(), 64..2048)) {
        check(&bytes, plain)?;
    }

    #[test]
    fn so_do_trees(bytes in proptest::collection::vec(any::<u8>(), 64..2048)) {
        check(&bytes, optimise::small_trees)?;
    }
}

fn plain(policy: &Policy, family: Family) -> Ruleset {
    lower(policy, family).expect("few rules")
}

/// Returns bytes that look random, the same for each seed.
fn bytes(seed: u32) -> Vec<u8> {
    let byte = |i: u32| {
        (seed.wrapping_mul(2_654_435_761).wrapping_add(i * 97) >> 7) as u8
            ^ (i as u8).wrapping_mul(31)
    };
    (0..900).map(byte).collect()
}

/// The property above is worth nothing if most random policies are refused.
#[test]
fn most_random_policies_are_taken() {
    let mut taken = 0;
    for seed in 0..200u32 {
        taken += usize::from(check(&bytes(seed), plain).expect("rules and policy agree"));
    }
    assert!(taken > 100, "{taken} of 200 random policies were taken");
}
