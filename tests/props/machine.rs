//! Random policies as whole machines: the text of their rules below their engine's, read again and
//! followed hook by hook, against the oracle.

use std::net::IpAddr;

use proptest::prelude::*;
use tidegate::net::Family;
use tidegate::netfilter::dump::States;
use tidegate::netfilter::trace::{End, Machine, Probe, Trace, traces};
use tidegate::netfilter::{ConnState, Packet, lower, render, render_chains};
use tidegate::policy::ir::{Policy, Protocol};
use tidegate::policy::load;
use tidegate::question;

use super::oracle::{self, Fate};
use super::policies::{self, Tape};
use crate::support::files::Files;

pub fn probe(packet: &Packet) -> Probe {
    let v6 = packet.source.is_ipv6();
    Probe {
        input: Some(packet.input.clone()),
        source: packet.source,
        destination: packet.destination,
        protocol: match packet.protocol {
            Protocol::Icmp if v6 => 58,
            Protocol::Icmp => 1,
            Protocol::Sctp => 132,
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        },
        source_port: packet.source_port,
        port: packet.port,
        icmp: (packet.icmp_type, 0),
        tcp_flags: 2,
        state: States::NEW,
        mark: packet.mark,
        connmark: 0,
    }
}

/// Returns the packet as the gate meets it, and what the oracle says of it.
fn expected(policy: &Policy, machine: &Machine, packet: &Packet, trace: &Trace) -> Fate {
    let mut met = packet.clone();
    let now = trace.destination;
    met.conn = ConnState::default();
    if now != (packet.destination, packet.port) {
        met.conn.translated_from = Some((packet.destination, packet.port));
        (met.destination, met.port) = now;
    }
    if machine.is_local(met.destination) {
        met.output = String::new();
        return oracle::to_host(policy, &met);
    }
    let output = machine.route(met.destination).unwrap_or_default();
    output.clone_into(&mut met.output);
    oracle::forwarded(policy, &met)
}

/// Addresses that several receive are told from each other by no route.
fn is_somebodys(machine: &Machine, address: IpAddr) -> bool {
    let all = machine.interfaces.iter().flat_map(|link| &link.addresses);
    let broadcast = match address {
        IpAddr::V4(four) => four.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    !broadcast
        && !address.is_multicast()
        && all.map(ipnet::IpNet::broadcast).all(|it| it != address)
}

const PACKETS: usize = 40;

/// Follows packets, and returns how many had to end and how many had to arrive.
fn check(bytes: &[u8]) -> Result<(usize, usize), TestCaseError> {
    let mut tape = Tape::new(bytes);
    let text = policies::policy(&mut tape);
    let loaded = load(&Files::one(&text), "policy.tide");
    let Some(policy) = loaded.policy().cloned() else {
        return Ok((0, 0));
    };
    let (mut ended, mut arrived) = (0, 0);
    for family in Family::BOTH {
        let rules = lower(&policy, family).expect("few rules");
        let rules = render(&rules, &render_chains(&rules, &loaded.sources));
        let machine = question::of_policy(&policy, &rules, family).expect("rules that load");
        let machine = machine.machine;
        for _ in 0..PACKETS {
            let mut packet = policies::packet(&mut tape, family == Family::V6, false);
            policies::aim(&mut tape, &policy, &mut packet);
            packet.over = false;
            packet.port = if tape.below(2) == 0 {
                packet.port
            } else {
                8000 + u16::from(packet.port == 81)
            };
            if packet.protocol == Protocol::Icmp {
                packet.port = 0;
            }
            if !is_somebodys(&machine, packet.destination) {
                continue;
            }
            // The first way has every answer no: no limit is passed.
            let trace = traces(&machine, &probe(&packet)).remove(0);
            if trace.end == End::Martian {
                continue;
            }
            let said = expected(&policy, &machine, &packet, &trace);
            ended += usize::from(said == Fate::Dropped);
            arrived += usize::from(said == Fate::Granted);
            let wrong = match said {
                Fate::Dropped => trace.end.arrives(),
                Fate::Granted => !trace.end.arrives(),
                Fate::Left | Fate::Passes => false,
            };
            prop_assert!(
                !wrong,
                "{text}\n{packet:?}\nthe policy says {said:?}, the machine {:?} by {:#?}",
                trace.end,
                trace.steps
            );
        }
    }
    Ok((ended, arrived))
}

proptest! {
    // PROPTEST_CASES may ask for more.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(200),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whole_machines_do_what_the_policy_says(bytes in proptest::collection::vec(any::<u8>(), 64..2048)) {
        check(&bytes)?;
    }
}

/// The property above is worth nothing where the oracle leaves it to the engine.
#[test]
fn packets_have_to_end_and_to_arrive() {
    let (mut ended, mut arrived) = (0, 0);
    for seed in 0..100u8 {
        let byte = |at: usize| (at * 131 + usize::from(seed) * 7919 + at * at).to_le_bytes()[0];
        let bytes: Vec<u8> = (0..900).map(|at| byte(at) ^ seed).collect();
        let counts = check(&bytes).expect("machine and policy agree");
        (ended, arrived) = (ended + counts.0, arrived + counts.1);
    }
    assert!(
        ended > 500 && arrived > 50,
        "{ended} ended, {arrived} arrived"
    );
}
