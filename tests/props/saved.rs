//! What `diff` says of two saved texts, against packets on machines that it has not seen.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use tidegate::net::Family;
use tidegate::netfilter::dump::read;
use tidegate::netfilter::trace::{MAX_ENDS, Machine, Probe, traces};
use tidegate::question::{self, Side, SideKind};

use super::dice::Dice;
use super::dump_machines as machines;
use super::dump_rules as rules;

const TEXTS: u64 = 1_200;
const MACHINES: usize = 4;
const PACKETS: usize = 150;

/// Returns a text with one rule gone, or with the other verdict.
fn flipped(dice: &mut Dice, text: &str) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let rules: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].starts_with("-A"))
        .collect();
    if rules.is_empty() {
        return None;
    }
    let at = dice.pick(&rules);
    let line = lines.remove(at);
    let other = line
        .strip_suffix("ACCEPT")
        .map(|rest| format!("{rest}DROP"));
    let other = other.or_else(|| line.strip_suffix("DROP").map(|it| format!("{it}ACCEPT")));
    if let Some(other) = other.filter(|_| dice.one_in(2)) {
        lines.insert(at, other);
    }
    Some(lines.join("\n") + "\n")
}

/// Tells whether somebody can send a packet as a connection's first one: the host its own addresses, others
/// no address of the host's, and none a connection of TCP to several.
fn is_possible(machine: &Machine, probe: &Probe) -> bool {
    let links = machine.interfaces.iter();
    let nets: Vec<IpNet> = links.flat_map(|link| link.addresses.clone()).collect();
    let own =
        |address: IpAddr| address.is_loopback() || nets.iter().any(|net| net.addr() == address);
    let to = probe.destination;
    let shared = to.is_multicast()
        || nets
            .iter()
            .any(|net| to == net.network() || to == net.broadcast())
        || to == IpAddr::from([255; 4]);
    own(probe.source) == probe.input.is_none()
        && !shared
        && (!to.is_loopback() || probe.input.is_none())
}

/// Tells whether a packet arrives; nothing where only the kernel knows.
fn arrives(machine: &Machine, probe: &Probe) -> Option<bool> {
    let all = traces(machine, probe);
    let ends: BTreeSet<bool> = all.iter().map(|it| it.end.arrives()).collect();
    (all.len() < MAX_ENDS && ends.len() == 1).then(|| ends.contains(&true))
}

/// Returns a packet that one text lets arrive on some machine and the other does not.
fn witness(dice: &mut Dice, family: Family, texts: [&str; 2]) -> Option<String> {
    for _ in 0..MACHINES {
        let before = machines::machine(dice, family, texts[0]);
        let mut after = before.clone();
        after.rules = read(texts[1], family).expect("rules");
        for _ in 0..PACKETS {
            let probe = machines::packet(dice, family);
            if !is_possible(&before, &probe) {
                continue;
            }
            let both = [&before, &after].map(|machine| arrives(machine, &probe));
            if let [Some(one), Some(two)] = both
                && one != two
            {
                let (own, routes) = (&before.interfaces, &before.routes);
                return Some(format!("{probe:?}\n{own:?}\n{routes:?}"));
            }
        }
    }
    None
}

/// Tells whether a comparison says that some new connection may be treated otherwise.
fn is_told(family: Family, texts: [&str; 2]) -> bool {
    let [mut one, mut two] = texts.map(|text| {
        let assumed = question::of_rules(text, None, "eth0", family).expect("rules");
        Side {
            machine: assumed.machine,
            policy: None,
            kind: SideKind::Saved,
            known: BTreeMap::new(),
        }
    });
    let compared = question::compare(&mut one, &mut two).expect("few rules");
    let mut found = compared.found.iter();
    found.any(question::Differences::differs) || !compared.unasked.is_empty()
}

#[test]
fn a_rule_that_some_machine_notices_is_told() {
    let mut noticed = 0;
    for seed in 0..TEXTS {
        let mut dice = Dice::new(seed);
        let family = dice.pick(&Family::BOTH);
        let text = rules::text(&mut dice, family, false);
        let Some(other) = flipped(&mut dice, &text) else {
            continue;
        };
        let texts = [text.as_str(), other.as_str()];
        if let Some(packet) = witness(&mut dice, family, texts) {
            noticed += 1;
            let said = format!("seed {seed}\n{text}\n{other}\n{packet}");
            assert!(is_told(family, texts), "nothing differs, but {said}");
        }
    }
    assert!(noticed > 30, "{noticed}");
}
