//! Expectations: a table of what holds and what does not, and random ones against single packets.

use std::net::IpAddr;

use proptest::prelude::*;
use tidegate::compile::compile;
use tidegate::diag::Code;
use tidegate::diag::code;
use tidegate::diagram::Budget;
use tidegate::net::Family;
use tidegate::netfilter::trace::{Machine, traces};
use tidegate::netfilter::{ConnState, Packet, lower, render, render_chains};
use tidegate::policy::ir::{Expectation, NetworkId, Party, Policy, Protocol, Service};
use tidegate::policy::load;
use tidegate::question::{self, HostRules, Why, unkept};

use super::machine::probe;
use super::policies::{self, Tape};
use crate::support::files::Files;

const ONE_HOST: &str = "
host { uplink eth0
  forwarding on
  forward drop
}
trust office { 203.0.113.0/24, 2001:db8:10::/48 }
trust six { 2001:db8:66::/48 }
network shop {
  bridge br-shop
  subnet 172.18.0.0/24, fd00:18::/64
}
network back {
  bridge br-back
  subnet 172.19.0.0/24
  egress off
  host-access off
}
container web on shop at 172.18.0.10, fd00:18::10 {
  expose 80/tcp as 8080 from any
  expose 443/tcp as 443 from any limit 50/second burst 100 per source
  expose 9000/tcp as 127.0.0.1:9000 from host
}
container db on back at 172.19.0.20 {
  expose 5432/tcp
  expose 9187/tcp as 9187 from office
}
link web -> db
allow office -> shop : 22/tcp
deny web -> outside : 25/tcp
deny any -> web : 8443/tcp
";

const WORLD: &str = "
host { uplink eth0
}
trust world { 0.0.0.0/0, except 203.0.113.66 }
network back {
  bridge br-back
  subnet 172.19.0.0/24
}
container db on back at 172.19.0.20 {
  expose 5432/tcp from world
}
";

const NEIGHBOURS: &str = "
network n {
  bridge br-n
  subnet 10.0.0.0/24, fd00::/64
  icc on
}
network m {
  bridge br-m
  subnet 10.2.0.0/24, fd02::/64
  host-access off
}
container a on n at 10.0.0.2, fd00::2
container b on n at 10.0.0.3, fd00::3 {
  expose 80/tcp as 8080 from n, m
}
container c on m at 10.2.0.2, fd02::2
deny a -> b
allow c -> n : 22/tcp
";

/// The host is named by `host` alone, and a denial of it holds whichever way an engine leads to its ports.
#[test]
fn the_host_is_denied_with_its_ports_under_every_engine() {
    let engines = [
        "docker 20.10",
        "docker 28.5",
        "docker 29.0 nftables",
        "none",
    ];
    for engine in engines {
        let forwarding = if engine == "none" {
            " forwarding on\n uplink eth0\n"
        } else {
            ""
        };
        let open = format!("host {{\n engine {engine}\n{forwarding}}}\n{NEIGHBOURS}");
        let part = format!("{open}deny n, m -> host : 8080/tcp\n");
        let other = format!("{open}deny n, m -> host : 22/tcp\n");
        let whole = format!("{open}deny n, m -> host\n");
        for (policy, wanted) in [
            (&open, Some(code::NOT_EXPECTED)),
            (&part, None),
            (&whole, None),
        ] {
            for expectation in ["m -> b : 80/tcp denied", "c -> b : 80/tcp denied"] {
                let found = codes(policy, expectation).first().copied();
                assert_eq!(found, wanted, "{engine}: {expectation} in {policy}");
            }
        }
        assert_eq!(codes(&other, "c -> b : 80/tcp allowed"), [], "{engine}");
        assert_eq!(codes(&open, "c -> host : 22/tcp denied"), [], "{engine}");
        assert_eq!(codes(&open, "c -> b : 22/tcp allowed"), [], "{engine}");
    }
}

const TWO_HOSTS: &str = "
host alpha {
  uplink eth0
  forwarding on
  forward drop
  route 172.18.0.0/24 via 192.0.2.2
}
host beta {
  uplink eth0
  forwarding on
  forward drop
  route 172.17.0.0/24 via 192.0.2.3
}
network one on alpha {
  bridge br-one
  subnet 172.17.0.0/24
}
network two on beta {
  bridge br-two
  subnet 172.18.0.0/24
}
container web on one at 172.17.0.10
container spy on one at 172.17.0.66
container db on two at 172.18.0.20 {
  expose 5432/tcp
}
link web -> db
";

fn codes(policy: &str, expectation: &str) -> Vec<Code> {
    let text = format!("{policy}expect {expectation}\n");
    let compiled = compile(&Files::one(&text), "policy.tide");
    let errors = compiled
        .diagnostics
        .iter()
        .filter(|it| it.code.0 < "T05" && it.code.0 > "T04");
    errors.map(|it| it.code).collect()
}

#[test]
fn expectations_hold_or_not() {
    let (kept, unkept, nobody) = (
        None,
        Some(code::NOT_EXPECTED),
        Some(code::EXPECTED_OF_NOBODY),
    );
    for (policy, expectation, wanted) in [
        (ONE_HOST, "outside -> web : 80/tcp allowed", kept),
        (ONE_HOST, "outside -> web : 80/tcp denied", unkept),
        (ONE_HOST, "any -> web : 80/tcp allowed", kept),
        // Up to its limit.
        (ONE_HOST, "outside -> web : 443/tcp allowed", kept),
        (ONE_HOST, "outside -> web : 443/tcp denied", unkept),
        (ONE_HOST, "outside -> web : 8080/tcp denied", kept),
        (ONE_HOST, "outside -> web : 22/tcp denied", kept),
        (ONE_HOST, "office -> web : 22/tcp allowed", kept),
        (ONE_HOST, "office -> web : 22/tcp denied", unkept),
        (ONE_HOST, "office -> web : 22-23/tcp allowed", unkept),
        (ONE_HOST, "any -> web : 8443/tcp denied", kept),
        (ONE_HOST, "host -> web : 9000/tcp allowed", kept),
        (ONE_HOST, "outside -> web : 9000/tcp denied", kept),
        (ONE_HOST, "web -> db : 5432/tcp allowed", kept),
        (ONE_HOST, "web -> db allowed", unkept),
        (ONE_HOST, "web -> db denied", unkept),
        (ONE_HOST, "db -> web : 80/tcp denied", unkept),
        (ONE_HOST, "db -> web : 22/tcp denied", kept),
        // Whom a set names is no stranger.
        (ONE_HOST, "outside -> db denied", kept),
        (WORLD, "outside -> db denied", unkept),
        (ONE_HOST, "office -> db : 9187/tcp allowed", kept),
        (ONE_HOST, "office -> db denied", unkept),
        (ONE_HOST, "six -> db : 9187/tcp allowed", unkept),
        (ONE_HOST, "six -> db : 5432/tcp allowed", nobody),
        (ONE_HOST, "web -> outside : 25/tcp denied", kept),
        (ONE_HOST, "web -> outside : 443/tcp allowed", kept),
        (ONE_HOST, "back -> outside denied", kept),
        (ONE_HOST, "db -> outside : 53/udp allowed", unkept),
        (ONE_HOST, "db -> host denied", kept),
        (ONE_HOST, "web -> host : 53/udp allowed", kept),
        (ONE_HOST, "shop -> back denied", unkept),
        (ONE_HOST, "outside -> shop : icmp denied", kept),
        (TWO_HOSTS, "web -> db : 5432/tcp allowed", kept),
        (TWO_HOSTS, "web -> db : 5432/tcp denied", unkept),
        (TWO_HOSTS, "web -> db : 5433/tcp denied", kept),
        (TWO_HOSTS, "spy -> db denied", kept),
        (TWO_HOSTS, "spy -> db : 5432/tcp allowed", unkept),
        (TWO_HOSTS, "db -> web denied", kept),
        (TWO_HOSTS, "outside -> db denied", kept),
        // Neighbour discovery is no connection; sources that tell nobody are nobody's.
        (NEIGHBOURS, "a -> b denied", kept),
        (NEIGHBOURS, "a -> b : icmp denied", kept),
        (NEIGHBOURS, "b -> a denied", unkept),
        (NEIGHBOURS, "b -> a : icmp denied", unkept),
        (NEIGHBOURS, "c -> host denied", kept),
    ] {
        assert_eq!(
            codes(policy, expectation).first().copied(),
            wanted,
            "expect {expectation}"
        );
    }
}

fn sources(policy: &Policy, party: Party, v6: bool) -> Vec<(IpAddr, String)> {
    let bridge = |id: NetworkId| policy.networks[id.0].bridge.0.clone();
    match party {
        Party::Container(id) => {
            let all = policy.containers[id.0].attachments.iter();
            let all = all.flat_map(|at| at.addresses.iter().map(|it| (*it, bridge(at.network))));
            all.filter(|(address, _)| address.is_ipv6() == v6).collect()
        }
        Party::Outside => {
            let address = if v6 {
                "2001:db8:ffff::9"
            } else {
                "198.51.100.99"
            };
            let address: IpAddr = address.parse().expect("an address");
            // Whom a set names is no stranger.
            let stranger = policy
                .trusts
                .iter()
                .all(|trust| !trust.set.contains(address));
            let one = stranger.then(|| (address, "eth0".to_owned()));
            one.into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Returns whether one packet from a party gets to a container's own address, where it is asked.
fn arrives(machine: &Machine, (source, input): &(IpAddr, String), to: IpAddr, port: u16) -> bool {
    let packet = Packet {
        source: *source,
        destination: to,
        input: input.clone(),
        output: String::new(),
        protocol: Protocol::Tcp,
        source_port: 40_000,
        port,
        icmp_type: 0,
        conn: ConnState::default(),
        mark: 0,
        over: false,
    };
    traces(machine, &probe(&packet))
        .iter()
        .any(|trace| trace.end.arrives())
}

fn check(bytes: &[u8]) -> Result<usize, TestCaseError> {
    let mut tape = Tape::new(bytes);
    let text = policies::policy(&mut tape);
    let loaded = load(&Files::one(&text), "policy.tide");
    let Some(mut policy) = loaded.policy().cloned() else {
        return Ok(0);
    };
    if policy.containers.is_empty() {
        return Ok(0);
    }
    let container = |at: usize| {
        Party::Container(tidegate::policy::ir::ContainerId(
            at % policy.containers.len(),
        ))
    };
    let right = container(tape.below(7));
    let left = if tape.below(2) == 0 {
        Party::Outside
    } else {
        container(tape.below(7))
    };
    let port = 80 + u16::try_from(tape.below(3)).expect("few");
    let ports = tidegate::net::PortRange {
        first: port,
        last: port,
    };
    let allowed = tape.below(2) == 0;
    let Party::Container(id) = right else {
        return Ok(0);
    };
    policy.expectations = vec![Expectation {
        left,
        right,
        services: vec![Service::Ports(Protocol::Tcp, Some(ports))],
        allowed,
        span: policy.containers[id.0].span,
    }];
    let rules = Family::BOTH.map(|family| {
        let rules = lower(&policy, family).expect("few rules");
        render(&rules, &render_chains(&rules, &loaded.sources))
    });
    let host = HostRules {
        policy: &policy,
        rules: [&rules[0], &rules[1]],
    };
    let found = unkept(&[host], &Budget::from(12_000_000));
    if let Some(Why::Packet { reason, packet, .. }) = found.first().map(|it| &it.why) {
        prop_assert!(reason.arrives != allowed, "{text}\n{packet}\n{reason:?}");
        return Ok(1);
    }
    if allowed || !found.is_empty() {
        return Ok(0);
    }
    let placed = question::placed(&policy);
    for (family, rules) in Family::BOTH.into_iter().zip(&rules) {
        let machine = question::of_policy(&policy, rules, family)
            .expect("rules")
            .machine;
        let v6 = family == Family::V6;
        let all = placed.containers[id.0]
            .attachments
            .iter()
            .flat_map(|at| &at.addresses);
        for to in all.filter(|it| it.is_ipv6() == v6) {
            for from in sources(&placed, left, v6)
                .iter()
                .filter(|(source, _)| source != to)
            {
                let got = arrives(&machine, from, *to, port);
                prop_assert!(
                    !got,
                    "{text}\n{left:?} to {to}:{port} by {from:?} arrives, and was to be denied"
                );
            }
        }
    }
    Ok(1)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(200),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_speaks_against_an_expectation_does(bytes in proptest::collection::vec(any::<u8>(), 64..2048)) {
        check(&bytes)?;
    }
}
