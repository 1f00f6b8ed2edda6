//! What is compiled is what the kernel's tools print: drift compares text with text.

use tidegate::compile::compile;
use tidegate::netfilter::Family;

use super::policies::{self, Tape};
use crate::flows::ours;
use crate::support::files::Files;
use crate::support::ns::{Namespace, is_root};

/// An empty machine with an engine's chain.
const FRESH: &str = "*raw\nCOMMIT\n*mangle\nCOMMIT\n*nat\nCOMMIT\n\
                     *filter\n:DOCKER-USER - [0:0]\nCOMMIT\n";

const POLICIES: u32 = 60;

/// Returns the bytes of one random policy; the same ones every time.
fn bytes(seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    };
    (0..900).map(|_| next()).collect()
}

fn tools_print_what_was_compiled(variant: &str) {
    if !is_root() {
        return;
    }
    let (machine, mut taken) = (Namespace::new(), 0);
    for seed in 0..POLICIES {
        let text = policies::policy(&mut Tape::new(&bytes(seed)));
        let Some(bundle) = compile(&Files::one(&text), "policy.tide").bundle() else {
            continue;
        };
        for (family, tool) in [(Family::V4, "iptables"), (Family::V6, "ip6tables")] {
            let restore = format!("{tool}-{variant}-restore -w 10");
            machine.feed(&restore, FRESH);
            let rules = bundle.rules(family);
            machine.feed(&format!("{restore} --noflush"), rules);
            let saved = machine.ok(&format!("{tool}-{variant}-save"));
            for (saved, compiled) in lines(&saved).iter().zip(&lines(rules)) {
                assert_eq!(saved, compiled, "{text}");
            }
            assert_eq!(ours(&saved), ours(rules), "{text}");
        }
        taken += 1;
    }
    assert!(taken > POLICIES / 2, "{taken} random policies were taken");
}

/// Returns our lines one by one, which makes for shorter messages.
fn lines(text: &str) -> Vec<(String, String)> {
    let lines = |(table, lines): (String, Vec<String>)| {
        lines.into_iter().map(move |line| (table.clone(), line))
    };
    ours(text).into_iter().flat_map(lines).collect()
}

#[test]
fn iptables_nft_prints_what_was_compiled() {
    tools_print_what_was_compiled("nft");
}

#[test]
fn iptables_legacy_prints_what_was_compiled() {
    tools_print_what_was_compiled("legacy");
}
