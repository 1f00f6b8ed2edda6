//! Random policies whose sets lie in every way in which sets can: what they become is loaded, by both
//! variants of iptables in both families, as trees and as lists.

use std::collections::BTreeMap;
use std::fmt::Write;

use ipnet::IpNet;

use tidegate::artifact::Bundle;
use tidegate::compile::{How, Proof, Rules, compile_with};
use tidegate::diag::code;
use tidegate::net::Family;

use crate::props::dice::Dice;
use crate::support::files::Files;
use crate::support::ns::{Namespace, is_root};

/// Policies that are loaded; nearly all that are drawn have no mistake.
const POLICIES: usize = 6;
/// Chains of ours below each other; see docs/rules.md.
const DEEPEST: usize = 12;
const SETS: usize = 5;
const CONTAINERS: usize = 4;
/// A machine on which Docker has just started, as far as the rules need it.
const ENGINE: &str = "*filter\n:DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\nCOMMIT\n";

/// Returns a policy of one seed.
fn policy(seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let dice = &mut dice;
    let mut text = "host {\n  uplink eth0\n  forwarding on\n  forward drop\n".to_owned();
    for line in ["engine none", "log denied", "others drop"] {
        if dice.one_in(3) {
            let _ = writeln!(text, "  {line}");
        }
    }
    text.push_str("}\n");
    for id in 0..SETS {
        set(dice, &mut text, id);
    }
    for id in 0..2 {
        let [egress, icc] = ["on", "off"].map(|_| dice.pick(&["on", "off"]));
        let _ = writeln!(
            text,
            "network n{id} {{\n  bridge br-{id}\n  subnet 172.31.{id}.0/24, fd00:{id}::/64\n  \
             egress {egress}\n  icc {icc}\n}}"
        );
    }
    for id in 0..CONTAINERS {
        container(dice, &mut text, id);
    }
    for _ in 0..dice.below(6) {
        access(dice, &mut text);
    }
    text
}

fn address(dice: &mut Dice, family: Family) -> String {
    let mut part = |end| dice.below(end);
    match family {
        Family::V4 => format!(
            "{}.{}.{}.{}",
            11 + part(80),
            part(256),
            part(256),
            part(256)
        ),
        Family::V6 => format!(
            "2001:{:x}:{:x}::{:x}:{:x}",
            part(65536),
            part(65536),
            part(65536),
            part(65536)
        ),
    }
}

/// Returns a prefix without bits right of its length, which would be a mistake.
fn prefix(dice: &mut Dice, family: Family, length: usize) -> String {
    let written = format!("{}/{length}", address(dice, family));
    let prefix: IpNet = written.parse().expect("a prefix");
    prefix.trunc().to_string()
}

/// Writes a set: a list of prefixes, long or short, ranges, or all but a few, and what others hold.
fn set(dice: &mut Dice, text: &mut String, id: usize) {
    let mut members = Vec::new();
    for family in Family::BOTH {
        let (all, longest) = match family {
            Family::V4 => ("0.0.0.0/0", 32),
            Family::V6 => ("::/0", 128),
        };
        match dice.below(4) {
            0 => {}
            1 => {
                members.push(all.to_owned());
                for _ in 0..=dice.below(3) {
                    let length = 8 + dice.below(longest - 7);
                    members.push(format!("except {}", prefix(dice, family, length)));
                }
            }
            2 => {
                for _ in 0..dice.pick(&[1, 4, 20]) {
                    members.extend(range(dice, family));
                }
            }
            _ => {
                for _ in 0..dice.pick(&[1, 20, 40, 100]) {
                    let length = longest / 4 + dice.below(longest * 3 / 4 + 1);
                    members.push(prefix(dice, family, length));
                }
            }
        }
    }
    if id > 0 && dice.one_in(2) {
        let other = dice.below(id);
        members.push(dice.pick(&[format!("t{other}"), format!("except t{other}")]));
    }
    if members.is_empty() {
        members.push("192.0.2.0/24".to_owned());
    }
    let _ = writeln!(text, "trust t{id} {{ {} }}", members.join(", "));
}

/// Returns a range that no prefix is.
fn range(dice: &mut Dice, family: Family) -> Option<String> {
    let mut ends: Vec<std::net::IpAddr> = (0..2)
        .map(|_| address(dice, family).parse().expect("an address"))
        .collect();
    ends.sort();
    let &[first, last] = ends.as_slice() else {
        return None;
    };
    (first != last).then(|| format!("{first}-{last}"))
}

/// Returns several sets, or one.
fn sets(dice: &mut Dice) -> String {
    let count = dice.pick(&[1, 1, 2, 3]);
    let names: Vec<String> = (0..count)
        .map(|_| format!("t{}", dice.below(SETS)))
        .collect();
    names.join(", ")
}

fn container(dice: &mut Dice, text: &mut String, id: usize) {
    let network = id % 2;
    let _ = writeln!(
        text,
        "container c{id} on n{network} at 172.31.{network}.{0}, fd00:{network}::{0} {{",
        id + 10
    );
    for port in 0..dice.pick(&[1, 2, 8]) {
        let limit = dice.pick(&["", "", "", " limit 20 connections per source"]);
        let port = 1_000 * (id + 1) + port * 3;
        let from = sets(dice);
        let _ = writeln!(text, "  expose {port}/tcp as {port} from {from}{limit}");
    }
    text.push_str("}\n");
}

fn access(dice: &mut Dice, text: &mut String) {
    let (set, ours) = (sets(dice), format!("n{}", dice.below(2)));
    let container = format!("c{}", dice.below(CONTAINERS));
    let port = dice.pick(&["", " : 53/udp", " : 22/tcp, 80-90/tcp"]);
    let _ = match dice.below(6) {
        0 => writeln!(text, "deny {set} -> host{port}"),
        1 => writeln!(text, "allow {set} -> host : 22/tcp"),
        2 => writeln!(text, "allow {ours} -> {set}{port}"),
        3 => writeln!(text, "deny {ours} -> {set}{port}"),
        4 => writeln!(text, "allow {set} -> {container}{port}"),
        _ => writeln!(text, "deny {set} -> {ours}{port}"),
    };
}

/// Returns how many chains of ours lie below each other in a text, from a hook on.
fn depth(text: &str) -> usize {
    let mut table = "";
    let mut leads: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    let mut hooked = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let to = words
            .windows(2)
            .rev()
            .find(|it| ["-j", "-g"].contains(&it[0]));
        let to = to.map(|it| it[1]).filter(|name| name.starts_with("TIDE-"));
        match (words[0], to) {
            ("-A", Some(to)) => leads.entry((table, words[1])).or_default().push(to),
            ("-I", Some(to)) => hooked.push((table, to)),
            (word, _) if word.starts_with('*') => table = word,
            _ => {}
        }
    }
    // Level by level: a chain's depth is the last level in which it is met.
    let mut depth = 0;
    while !hooked.is_empty() {
        depth += 1;
        assert!(depth <= 64, "a circle");
        let below = hooked.iter().flat_map(|(table, name)| {
            let next = leads.get(&(*table, *name)).into_iter().flatten();
            next.map(|next| (*table, *next))
        });
        hooked = below.collect();
        hooked.sort_unstable();
        hooked.dedup();
    }
    depth
}

/// Compiles a policy; nothing where it has a mistake.
fn compiled(seed: u64, text: &str, rules: Rules) -> Option<Bundle> {
    let how = How {
        proof: Proof::Omitted,
        rules,
        ..How::default()
    };
    let compiled = compile_with(&Files::one(text), "policy.tide", None, how);
    for diagnostic in &compiled.diagnostics {
        let beyond = diagnostic.code == code::NOT_LOADABLE;
        assert!(!beyond, "seed {seed}: {}\n{text}", diagnostic.message);
    }
    compiled.bundle()
}

/// Loads both families with both variants, each where nothing else is.
fn load(seed: u64, bundle: &Bundle) {
    let namespace = Namespace::new();
    for family in Family::BOTH {
        let rules = bundle.rules(family);
        let deep = depth(rules);
        assert!(deep <= DEEPEST, "seed {seed}: {family}: {deep} deep");
        let tool = match family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        for variant in ["nft", "legacy"] {
            let restore = format!("{tool}-{variant}-restore --noflush");
            for text in [ENGINE, rules] {
                let output = namespace.command(&restore, text);
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "seed {seed}: {restore}: {errors}");
            }
        }
    }
}

#[test]
fn random_sets_load_as_trees_and_as_lists() {
    if !is_root() {
        return;
    }
    let (mut loaded, mut trees) = (0, 0);
    for seed in 0.. {
        let text = policy(seed);
        let Some(bundle) = compiled(seed, &text, Rules::Optimised) else {
            continue;
        };
        load(seed, &bundle);
        let lists = compiled(seed, &text, Rules::Plain).expect("no mistake");
        load(seed, &lists);
        loaded += 1;
        trees += usize::from(bundle.rules(Family::V6).contains("TIDE-set~"));
        if loaded == POLICIES {
            eprintln!("seeds 0 to {seed}: {loaded} policies loaded, {trees} with sets in IPv6");
            assert!(
                seed < 2 * POLICIES as u64,
                "hardly any is without a mistake"
            );
            break;
        }
    }
    assert!(trees * 2 > loaded, "{trees} of {loaded} have trees");
}

/// What was refused by a kernel once, and what comes near: all but one address or prefix, in every
/// statement that takes a set.
#[test]
fn complements_load_wherever_they_stand() {
    if !is_root() {
        return;
    }
    let sets = [
        "0.0.0.0/0, except 192.0.2.66",
        "0.0.0.0/0, except 192.0.2.66, except 198.51.100.7",
        "::/0, except 2001:db8::/64",
        "::/0, except 2001:db8::66",
        "::/0, except 2001:db8::66, except 2001:db8:ffff::1",
        "0.0.0.0/0, ::/0, except 192.0.2.66, except 2001:db8::66",
        "0.0.0.1-255.255.255.254, ::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
    ];
    for set in sets {
        let mut text = format!(
            "host {{\n  uplink eth0\n  forwarding on\n  forward drop\n}}\ntrust s {{ {set} }}\n\
             network n {{\n  bridge br-n\n  subnet 172.31.0.0/24, fd00::/64\n  egress off\n}}\n"
        );
        for id in 2..6 {
            let _ = writeln!(
                text,
                "container c{id} on n at 172.31.0.{id}, fd00::{id} {{\n  \
                 expose 80/tcp as 808{id} from s\n  expose 9{id}/tcp from s\n}}"
            );
        }
        text.push_str("allow n -> s\nallow s -> c2 : 22/tcp\ndeny s -> host : 22/tcp\n");
        for rules in [Rules::Optimised, Rules::Plain] {
            let bundle = compiled(0, &text, rules);
            load(0, &bundle.unwrap_or_else(|| panic!("a mistake in\n{text}")));
        }
    }
}
