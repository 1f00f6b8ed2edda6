//! Any text is a set of rules that a packet can be followed through, or a mistake in one of its lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::netfilter::Family;
use tidegate::netfilter::dump::{States, read};
use tidegate::netfilter::trace::{MAX_ENDS, Probe, traces};
use tidegate::question::of_rules;

fuzz_target!(|text: &str| {
    for family in Family::BOTH {
        match read(text, family) {
            Ok(dump) => assert!(dump.rule_count() <= text.lines().count()),
            Err(error) => {
                assert!((1..=text.lines().count()).contains(&error.line), "{error}");
                continue;
            }
        }
        let machine = of_rules(text, None, "eth0", family).expect("it was read before");
        let found = traces(&machine.machine, &probe(family));
        assert!((1..=MAX_ENDS).contains(&found.len()));
    }
});

fn probe(family: Family) -> Probe {
    let (source, destination) = match family {
        Family::V4 => ("203.0.113.9", "172.20.0.10"),
        Family::V6 => ("2001:db8::9", "fd00:20::10"),
    };
    Probe {
        input: Some("eth0".to_owned()),
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
        protocol: 6,
        source_port: 40_000,
        port: 80,
        icmp: (8, 0),
        tcp_flags: 2,
        state: States::NEW,
        mark: 0,
        connmark: 0,
    }
}
