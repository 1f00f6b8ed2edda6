//! What lints call idle is idle: without it the rules do the same to every packet.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tidegate::diag::{Diagnostic, code};
use tidegate::lint::lint;
use tidegate::netfilter::{Family, Packet, Ruleset, lower};
use tidegate::policy::ir::{Exposure, Party, Policy};
use tidegate::source::Span;

use super::oracle::Fate;
use super::policies::{self, Tape};
use super::{forward, from_host, resolved, to_host};

const PACKETS: usize = 40;

/// Returns the policy as it is when what a lint tells is taken out.
pub fn mended(policy: &Policy, found: &Diagnostic) -> Option<Policy> {
    let span = found.labels.iter().find(|label| label.primary)?.span;
    let mut policy = policy.clone();
    match found.code {
        code::CANCELLED | code::DENIES_NOTHING | code::NOTHING_NEW => {
            policy.accesses.retain(|access| access.span != span);
            each_at(&mut policy, span, |exposure| exposure.from.clear());
        }
        code::CLOSED_PORT => each_at(&mut policy, span, |exposure| exposure.from.clear()),
        code::REDUNDANT_NAME => {
            each_at(&mut policy, span, |exposure| shorten(&mut exposure.from));
            for access in policy.accesses.iter_mut().filter(|it| it.span == span) {
                let mut left = access.left.to_vec();
                shorten(&mut left);
                access.left = left.into();
                shorten(&mut access.right);
            }
        }
        code::SPARE_SOURCE => {
            let name = found.message.split('`').nth(1)?.to_owned();
            let whole = policy.clone();
            let others = |list: &mut Vec<Party>| list.retain(|it| whole.name(*it) != name);
            each_at(&mut policy, span, |exposure| others(&mut exposure.from));
            for access in policy.accesses.iter_mut().filter(|it| it.span == span) {
                let mut left = access.left.to_vec();
                others(&mut left);
                access.left = left.into();
            }
        }
        code::HOST_LEFT_OPEN | code::REPEATED => {
            policy.accesses.retain(|access| access.span != span);
        }
        code::UNLINKED => {
            for container in &mut policy.containers {
                container.exposures.retain(|it| it.span != span);
            }
        }
        _ => return None,
    }
    Some(policy)
}

fn each_at(policy: &mut Policy, span: Span, mend: impl Fn(&mut Exposure)) {
    let containers = policy.containers.iter_mut();
    let exposures = containers.flat_map(|container| &mut container.exposures);
    exposures.filter(|it| it.span == span).for_each(mend);
}

/// Takes out who stands beside `any`, and who stands there already.
fn shorten(list: &mut Vec<Party>) {
    if list.contains(&Party::Any) {
        *list = vec![Party::Any];
    }
    let mut seen = Vec::new();
    list.retain(|party| {
        let new = !seen.contains(party);
        seen.push(*party);
        new
    });
}

pub fn fates(rules: &Ruleset, packet: &Packet) -> [Fate; 3] {
    [forward, to_host, from_host].map(|way| way(rules, &mut packet.clone()))
}

/// What a published port and a statement both open may pass with the grant or without it.
fn agree(found: &Diagnostic, before: &[Fate], after: &[Fate]) -> bool {
    let exact = [code::CANCELLED, code::DENIES_NOTHING, code::NOTHING_NEW];
    let passes = |fates: &[Fate]| -> Vec<bool> {
        let passes = fates.iter().map(|fate| *fate != Fate::Dropped);
        passes.collect()
    };
    before == after || exact.contains(&found.code) && passes(before) == passes(after)
}

/// Makes a policy say things for nothing, and statements that others contain.
pub fn idler(tape: &mut Tape<'_>, text: &str) -> String {
    let mut idle = String::new();
    for line in text.lines() {
        let is_statement = ["allow ", "deny "].iter().any(|it| line.starts_with(it));
        let other = tape.pick(&["any", "t0", "c0", "n0"]);
        let sides = line.split(" :").next().unwrap_or(line);
        let service = tape.pick(&["", " : tcp", " : 80/tcp", " : 80-81/tcp", " : 81/udp"]);
        let line = match tape.below(8) {
            0 if is_statement => line.replacen(" ->", &format!(", {other} ->"), 1),
            1 if is_statement => line.replacen("-> ", &format!("-> {other}, "), 1),
            2 if is_statement => format!("{line}\n{line}"),
            3 | 4 if is_statement => format!("{line}\n{sides}{service}"),
            5 | 6 => line.replacen(" from any", " from t0", 1),
            _ => line.replacen(" from ", &format!(" from {other}, "), 1),
        };
        idle.extend([&line, "\n"]);
    }
    idle
}

/// Sends a packet to a port that the policy exposes, by the host's port where there is one.
pub fn to_exposed(tape: &mut Tape<'_>, policy: &Policy, packet: &mut Packet) {
    let family = Family::of(packet.source);
    let containers = policy.containers.iter();
    let all = containers.flat_map(|it| it.exposures.iter().map(move |exposure| (it, exposure)));
    let all: Vec<_> = all.collect();
    if packet.output.is_empty() || all.is_empty() {
        return;
    }
    packet.mark = 0;
    if tape.below(2) == 0 {
        // As an allow or a deny has it.
        packet.conn.translated_from = None;
        packet.port = tape.pick(&[80, 81]);
        return;
    }
    let (container, exposure) = tape.pick(&all);
    let (network, address) = container.published_at(family).expect("both families");
    packet.destination = address;
    packet
        .output
        .clone_from(&policy.networks[network.0].bridge.0);
    packet.protocol = exposure.protocol;
    packet.port = exposure.ports.first;
    let host = exposure.published.as_ref();
    packet.conn.translated_from = host.map(|host| {
        let own = host.address.filter(|it| family.has(*it));
        (own.unwrap_or(packet.source), host.ports.first)
    });
}

/// Returns the codes whose claims were put to the test.
fn check(bytes: &[u8]) -> Result<Vec<&'static str>, TestCaseError> {
    let mut tape = Tape::new(bytes);
    let text = policies::policy(&mut tape);
    let text = idler(&mut tape, &text);
    let Some(policy) = resolved(&text) else {
        return Ok(Vec::new());
    };
    let mut tested = Vec::new();
    for found in lint(std::slice::from_ref(&policy)) {
        let Some(mended) = mended(&policy, &found) else {
            continue;
        };
        tested.push(found.code.0);
        for family in Family::BOTH {
            let rules = [&policy, &mended].map(|it| lower(it, family).expect("few rules"));
            for _ in 0..PACKETS {
                let here = tape.below(3) == 0;
                let mut packet = policies::packet(&mut tape, family == Family::V6, here);
                policies::aim(&mut tape, &policy, &mut packet);
                to_exposed(&mut tape, &policy, &mut packet);
                let [before, after] = rules.each_ref().map(|it| fates(it, &packet));
                prop_assert!(
                    agree(&found, &before, &after),
                    "{text}\n{packet:?}\n{found:?}\nwith it {before:?}, without it {after:?}"
                );
            }
        }
    }
    Ok(tested)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(200),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn without_what_is_idle_the_rules_do_the_same(bytes in proptest::collection::vec(any::<u8>(), 64..2048)) {
        check(&bytes)?;
    }
}

/// The property above is worth nothing if lints find nothing in random policies.
#[test]
fn random_policies_say_things_for_nothing() {
    let mut tested = BTreeSet::new();
    for seed in 0..400u32 {
        tested.extend(check(&super::bytes(seed)).expect("idle is idle"));
    }
    let all = [
        "T0603", "T0604", "T0605", "T0607", "T0608", "T0609", "T0610", "T0611", "T0614",
    ];
    assert!(tested.into_iter().eq(all), "not all lints were met");
}
