//! What `matrix` says of random policies, against single packets.

use proptest::prelude::*;
use tidegate::net::Family;
use tidegate::netfilter::dump::States;
use tidegate::netfilter::trace::{MAX_ENDS, Probe, traces};
use tidegate::policy::ir::{Container, Policy};
use tidegate::question::{self, Cell, Words};

use super::diff::side;
use super::policies::{self, Tape};

/// Tells whether words name a service; those of other protocols are never asked for.
fn holds(words: Option<&Words>, (protocol, port): (&str, u16)) -> bool {
    let number = if protocol == "tcp" { 6 } else { 17 };
    let within = |range: &str, value: u16| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse().is_ok_and(|first| value >= first)
            && last.parse().is_ok_and(|last: u16| value <= last)
    };
    let one = |word: &String| {
        let (ports, of) = word.split_once('/').unwrap_or(("0-65535", word));
        let protocols = word.strip_prefix("protocols ");
        word == "any"
            || of == protocol && within(ports, port)
            || protocols.is_some_and(|range| within(range, number))
    };
    words.is_some_and(|words| words.these.iter().any(one) && !words.except.iter().any(one))
}

fn cell<'c>(cells: &'c [Cell], from: &str, to: &str) -> Option<&'c Cell> {
    let mut fits = cells
        .iter()
        .filter(|cell| cell.from == from && cell.to == to && !cell.by_host);
    fits.next()
}

/// Returns the packets from each address of one container to those of another.
fn probes(policy: &Policy, from: &Container, to: &Container, family: Family) -> Vec<Probe> {
    let targets = to.attachments.iter().flat_map(|at| &at.addresses);
    let targets: Vec<_> = targets.filter(|address| family.has(**address)).collect();
    let mut found = Vec::new();
    for at in &from.attachments {
        for source in at.addresses.iter().filter(|address| family.has(**address)) {
            found.extend(targets.iter().map(|target| Probe {
                input: Some(policy.networks[at.network.0].bridge.0.clone()),
                source: *source,
                destination: **target,
                protocol: 6,
                source_port: 40_000,
                port: 80,
                icmp: (0, 0),
                tcp_flags: 2,
                state: States::NEW,
                mark: 0,
                connmark: 0,
            }));
        }
    }
    found
}

const SERVICES: [(u8, &str, u16); 5] = [
    (6, "tcp", 80),
    (6, "tcp", 81),
    (6, "tcp", 443),
    (17, "udp", 81),
    (17, "udp", 90),
];

fn check(bytes: &[u8]) -> Result<usize, TestCaseError> {
    let mut tape = Tape::new(bytes);
    let text = policies::policy(&mut tape);
    let mut count = 0;
    for family in Family::BOTH {
        let Some(side) = side(&text, None, family) else {
            return Ok(0);
        };
        let policy = side.policy.clone().expect("a policy");
        let cells = question::cells(&side, &policy).expect("few rules");
        let pairs = policy.containers.iter().flat_map(|from| {
            let others = policy.containers.iter().filter(|to| to.name != from.name);
            others.map(move |to| (from, to))
        });
        for (from, to) in pairs {
            let probes = probes(&policy, from, to, family);
            let cell = cell(&cells, &from.name, &to.name);
            for (protocol, word, port) in SERVICES {
                let mut always = !probes.is_empty();
                let mut ever = false;
                for probe in &probes {
                    let probe = Probe {
                        protocol,
                        port,
                        ..probe.clone()
                    };
                    let ways = traces(&side.machine, &probe);
                    prop_assert!(ways.len() < MAX_ENDS);
                    let direct = |way: &tidegate::netfilter::trace::Trace| {
                        way.end.arrives() && way.destination.0 == probe.destination
                    };
                    always &= ways.iter().all(direct);
                    ever |= ways.iter().any(direct);
                }
                let asked = (word, port);
                let all = cell.is_some_and(|cell| holds(cell.all.as_ref(), asked));
                let any = all
                    || cell.is_some_and(|cell| {
                        holds(cell.some.as_ref(), asked) || holds(cell.limited.as_ref(), asked)
                    });
                prop_assert_eq!(
                    any,
                    ever,
                    "{} to {}: {:?}\n{:#?}\n{}",
                    from.name,
                    to.name,
                    asked,
                    cell,
                    text
                );
                // By any of several addresses is enough for the cell, not for `always`.
                prop_assert!(
                    all || !always,
                    "{} to {}: {:?}\n{:#?}\n{}",
                    from.name,
                    to.name,
                    asked,
                    cell,
                    text
                );
                count += usize::from(ever);
            }
        }
    }
    Ok(count)
}

proptest! {
    // PROPTEST_CASES may ask for more.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.div_ceil(4),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn cells_say_which_packets_arrive(bytes in proptest::collection::vec(any::<u8>(), 64..2048)) {
        check(&bytes)?;
    }
}

/// The property above is worth nothing where nobody reaches anybody.
#[test]
fn containers_of_random_policies_reach_each_other() {
    let mut arrived = 0;
    for seed in 0..20u8 {
        let byte = |at: usize| (at * 131 + usize::from(seed) * 7919 + at * at).to_le_bytes()[0];
        let bytes: Vec<u8> = (0..900).map(|at| byte(at) ^ seed).collect();
        arrived += check(&bytes).expect("cells and packets agree");
    }
    assert!(arrived > 50, "{arrived}");
}
