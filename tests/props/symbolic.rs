//! All packets at once against one packet after the other: the two evaluators share nothing but the
//! rules as they were read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proptest::prelude::*;
use tidegate::meaning::{End, Fate, Field, Invalid, Journey, Space, bits, validate};
use tidegate::net::Family;
use tidegate::netfilter::trace::{self, MAX_ENDS, Machine, Probe, Trace, traces};
use tidegate::netfilter::{lower, render, render_chains};
use tidegate::policy::load;
use tidegate::question;

use super::machine::probe;
use super::policies::{self, Tape};
use crate::support::files::Files;

const EDGES: usize = 20_000_000;

pub fn value(space: &Space, probe: &Probe, field: Field) -> u128 {
    match field {
        Field::Input => space.atom(probe.input.as_deref().unwrap_or_default()),
        Field::Protocol => probe.protocol.into(),
        Field::Destination => bits(probe.destination),
        Field::Port => probe.port.into(),
        Field::Icmp => u128::from(probe.icmp.0) << 8 | u128::from(probe.icmp.1),
        Field::Source => bits(probe.source),
        Field::SourcePort => probe.source_port.into(),
        other => panic!("the function of first packets asks {other:?}"),
    }
}

/// What both evaluators say, in one form: where it ends, what it was translated to where that is news,
/// and whether its source was.
type Said = (End, Option<(IpAddr, u16)>, bool);

fn said(end: End, (address, port): (IpAddr, u16), hidden: bool, probe: &Probe) -> Said {
    let arrives = matches!(end, End::Host | End::Out(_));
    let moved = (address, port) != (probe.destination, probe.port);
    (
        end,
        (moved && arrives).then_some((address, port)),
        hidden && arrives,
    )
}

fn of_fate(fate: Fate, probe: &Probe) -> Said {
    let (address, port) = fate.to.unwrap_or_default();
    let to = (
        address.unwrap_or(probe.destination),
        port.unwrap_or(probe.port),
    );
    said(fate.end, to, fate.hidden, probe)
}

fn of_trace(trace: &Trace, probe: &Probe) -> Said {
    let end = match trace.end.clone() {
        trace::End::Out(name) => End::Out(name),
        trace::End::Host => End::Host,
        trace::End::Dropped => End::Dropped,
        trace::End::Rejected(with) => End::Rejected(with),
        trace::End::NoRoute => End::NoRoute,
        trace::End::Martian => End::Martian,
        trace::End::Unknown(target) => End::Unknown(target),
        trace::End::Endless => panic!("rules lead in a circle"),
    };
    said(end, trace.destination, is_hidden(trace), probe)
}

/// Tells whether a source was translated behind POSTROUTING; what INPUT does stays on the host.
fn is_hidden(trace: &Trace) -> bool {
    let mut hook = "";
    trace.steps.iter().any(|step| {
        if step.event == trace::Event::Hook {
            hook = &step.chain;
        }
        hook == "POSTROUTING" && step.masked.is_some()
    })
}

/// Tells whether every rule has one answer, as it has in what rules mean, however often a packet meets it.
fn answers_alike(trace: &Trace) -> bool {
    let mut given = BTreeMap::new();
    let mut all = trace.assumptions.iter();
    all.all(|it| *given.entry(&it.what).or_insert(it.holds) == it.holds)
}

/// Returns whether both evaluators say the same of a packet, or what each says.
pub fn agree(
    space: &Space,
    journey: &Journey,
    machine: &Machine,
    probe: &Probe,
) -> Result<(), String> {
    let all = traces(machine, probe);
    if all.len() >= MAX_ENDS {
        return Ok(());
    }
    let one: BTreeSet<Said> = all
        .iter()
        .filter(|trace| answers_alike(trace))
        .map(|it| of_trace(it, probe))
        .collect();
    let answers = space.ask(journey.node, &|field| value(space, probe, field));
    let fates = answers.into_iter().map(|answer| journey.fate(answer));
    let other: BTreeSet<Said> = fates.map(|it| of_fate(it, probe)).collect();
    if one == other {
        Ok(())
    } else {
        Err(format!(
            "{probe:?}\none by one: {one:?}\nall at once: {other:?}"
        ))
    }
}

const PACKETS: usize = 200;

fn check(bytes: &[u8]) -> Result<usize, TestCaseError> {
    let mut tape = Tape::new(bytes);
    let text = policies::policy(&mut tape);
    let loaded = load(&Files::one(&text), "policy.tide");
    let Some(policy) = loaded.policy().cloned() else {
        return Ok(0);
    };
    let mut count = 0;
    for family in Family::BOTH {
        let rules = lower(&policy, family).expect("few rules");
        let rules = render(&rules, &render_chains(&rules, &loaded.sources));
        let machine = question::of_policy(&policy, &rules, family)
            .expect("rules that load")
            .machine;
        let mut space = Journey::space(&[&machine], &[], EDGES);
        let journey = Journey::new(&mut space, &machine).expect("no circles");
        for _ in 0..PACKETS {
            let mut packet = policies::packet(&mut tape, family == Family::V6, false);
            policies::aim(&mut tape, &policy, &mut packet);
            let mut probe = probe(&packet);
            if tape.below(6) == 0 {
                probe.input = None;
            }
            if tape.below(2) == 0 {
                probe.port = 8000 + u16::from(packet.port == 81);
            }
            probe.mark = 0;
            let said = agree(&space, &journey, &machine, &probe);
            prop_assert!(said.is_ok(), "{text}\n{rules}\n{}", said.unwrap_err());
            count += 1;
        }
    }
    Ok(count)
}

proptest! {
    // PROPTEST_CASES may ask for more.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(100),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn all_packets_at_once_go_where_each_goes(bytes in proptest::collection::vec(any::<u8>(), 64..2048)) {
        check(&bytes)?;
    }
}

fn valid(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut tape = Tape::new(bytes);
    let text = policies::policy(&mut tape);
    let loaded = load(&Files::one(&text), "policy.tide");
    let Some(mut policy) = loaded.policy().cloned() else {
        return Ok(());
    };
    policies::surround(&mut tape, &mut policy);
    for family in Family::BOTH {
        let rules = lower(&policy, family).expect("few rules");
        let rules = render(&rules, &render_chains(&rules, &loaded.sources));
        let found = validate(&policy, &rules, family, EDGES);
        prop_assert!(
            found.is_ok(),
            "{text}\n{rules}\n{}\n{:#?}",
            found.clone().unwrap_err(),
            found
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(200),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_policies_are_valid(bytes in proptest::collection::vec(any::<u8>(), 64..2048)) {
        valid(&bytes)?;
    }
}

#[test]
fn what_is_too_much_or_elsewhere_is_not_proven() {
    let text = "host { uplink eth0\n}\nnetwork n {\n  bridge br-n\n  subnet 172.18.0.0/24\n}\n\
                container c on n at 172.18.0.10 {\n  expose 80/tcp as 8080 from any\n}\n";
    let loaded = load(&Files::one(text), "policy.tide");
    let policy = loaded.policy().expect("it is right");
    let rules = lower(policy, Family::V4).expect("few rules");
    let rules = render(&rules, &render_chains(&rules, &loaded.sources));
    assert_eq!(validate(policy, &rules, Family::V4, EDGES), Ok(()));
    let unknown = validate(policy, &rules, Family::V4, 10);
    assert!(matches!(unknown, Err(Invalid::NotKnown(_))), "{unknown:?}");
    let more = format!("{rules}*mangle\n-A INPUT -j DROP\nCOMMIT\n");
    let elsewhere = validate(policy, &more, Family::V4, EDGES);
    assert!(
        matches!(elsewhere, Err(Invalid::Differs(_))),
        "{elsewhere:?}"
    );
}
