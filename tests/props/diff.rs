//! What `diff` says of two random policies, against single packets on both machines.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use proptest::prelude::*;
use tidegate::meaning::Field;
use tidegate::net::Family;
use tidegate::netfilter::trace::{MAX_ENDS, Probe, Trace, traces};
use tidegate::netfilter::{lower, render, render_chains};
use tidegate::policy::load;
use tidegate::question::{self, Change, Differences, Side, SideKind};

use super::machine::probe;
use super::policies::{self, Tape};
use super::symbolic::value;
use crate::support::files::Files;

pub fn side(text: &str, like: Option<&Side>, family: Family) -> Option<Side> {
    let loaded = load(&Files::one(text), "policy.tide");
    let policy = loaded.policy()?;
    let rules = lower(policy, family).expect("few rules");
    let rules = render(&rules, &render_chains(&rules, &loaded.sources));
    let before = like.and_then(|side| side.policy.as_ref());
    let placed = question::placed_as(policy, before);
    let assumed = question::of_placed(policy, &placed, &rules, family).expect("rules that load");
    Some(Side {
        machine: assumed.machine,
        policy: Some(placed),
        kind: SideKind::Policy,
        known: BTreeMap::new(),
    })
}

/// Returns every way of a packet; none where there are too many.
fn ways(side: &Side, probe: &Probe) -> Vec<Trace> {
    let all = traces(&side.machine, probe);
    if all.len() < MAX_ENDS {
        all
    } else {
        Vec::new()
    }
}

struct Both<'a> {
    before: &'a Side,
    after: &'a Side,
    found: Differences,
}

impl Both<'_> {
    fn holds(&self, node: tidegate::diagram::Node, probe: &Probe) -> Vec<u32> {
        let space = &self.found.space;
        space.ask(node, &|field| value(space, probe, field))
    }

    /// Checks what the rows say of a packet, and returns how many are about it.
    fn check(&self, probe: &Probe) -> Result<usize, String> {
        let (one, two) = (ways(self.before, probe), ways(self.after, probe));
        if one.is_empty() || two.is_empty() {
            return Ok(0);
        }
        let said = format!("{probe:?}\n{one:#?}\n{two:#?}");
        let arrive = |all: &[Trace]| -> BTreeSet<bool> {
            all.iter().map(|trace| trace.end.arrives()).collect()
        };
        let mut count = 0;
        for (row, node) in &self.found.rows {
            let answers = self.holds(*node, probe);
            if answers == [0] {
                continue;
            }
            count += 1;
            let (before, after) = match row.change {
                Change::Opens => (false, true),
                Change::Closes => (true, false),
                Change::Moves => (true, true),
            };
            let (one, two) = (arrive(&one), arrive(&two));
            let certain = answers == [1] && row.taken.is_empty();
            let fits = if certain {
                one == BTreeSet::from([before]) && two == BTreeSet::from([after])
            } else {
                one.contains(&before) && two.contains(&after)
            };
            if !fits {
                return Err(format!("{row:#?}\n{said}"));
            }
        }
        let besides = [self.found.aside[0], self.found.aside[1], self.found.never];
        let aside = besides.iter().any(|it| self.holds(*it, probe) != [0]);
        if count == 0 && !aside && arrive(&one) != arrive(&two) {
            return Err(format!("no row says it\n{said}"));
        }
        Ok(count)
    }

    /// Returns packets of a row, as much like some random ones as may be.
    fn packets(&mut self, at: usize, likes: &[Probe]) -> Vec<Probe> {
        let mut found = Vec::new();
        for like in likes {
            let space = &mut self.found.space;
            let mut node = self.found.rows[at].1;
            for field in [
                Field::Source,
                Field::Destination,
                Field::Input,
                Field::Protocol,
                Field::Port,
            ] {
                let wanted = value(space, like, field);
                let here = space.is(field, wanted);
                let both = space.diagrams.guard(here, node);
                if both != tidegate::diagram::Node::NO {
                    node = both;
                }
            }
            let witness = space.witness(node, &[]).expect("a row is about packets");
            found.push(question::probe(space, &witness));
        }
        found
    }
}

const PACKETS: usize = 60;

fn check(bytes: &[u8]) -> Result<usize, TestCaseError> {
    let mut tape = Tape::new(bytes);
    let (one, two) = (policies::policy(&mut tape), policies::policy(&mut tape));
    let mut count = 0;
    for family in Family::BOTH {
        let Some(mut before) = side(&one, None, family) else {
            return Ok(0);
        };
        let Some(mut after) = side(&two, Some(&before), family) else {
            return Ok(0);
        };
        question::on_one_host(&mut before, &mut after);
        let found = question::differences(&before, &after).expect("few rules");
        let policy = after.policy.clone().expect("a policy");
        let random = |_| {
            let mut packet = policies::packet(&mut tape, family == Family::V6, false);
            policies::aim(&mut tape, &policy, &mut packet);
            let mut probe = probe(&packet);
            probe.mark = 0;
            if tape.below(6) == 0 {
                probe.input = None;
            }
            if tape.below(2) == 0 && probe.port != 0 {
                probe.port = 8000 + u16::from(packet.port == 81);
            }
            probe
        };
        let mut packets: Vec<Probe> = (0..PACKETS).map(random).collect();
        let mut both = Both {
            before: &before,
            after: &after,
            found,
        };
        let likes = packets[..4].to_vec();
        for at in 0..both.found.rows.len() {
            packets.extend(both.packets(at, &likes));
        }
        for probe in &packets {
            let said = both.check(probe);
            prop_assert!(said.is_ok(), "{one}\n{two}\n{}", said.unwrap_err());
            count += said.unwrap_or(0);
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
    fn rows_hold_for_each_of_their_packets_and_for_no_other(bytes in proptest::collection::vec(any::<u8>(), 64..3000)) {
        check(&bytes)?;
    }
}

/// The property above is worth nothing where no row is about any packet.
#[test]
fn random_policies_differ() {
    let mut rows = 0;
    for seed in 0..20u8 {
        let byte = |at: usize| (at * 131 + usize::from(seed) * 7919 + at * at).to_le_bytes()[0];
        let bytes: Vec<u8> = (0..900).map(|at| byte(at) ^ seed).collect();
        rows += check(&bytes).expect("rows and packets agree");
    }
    assert!(rows > 100, "{rows}");
}

#[test]
fn what_takes_too_much_is_not_known_and_never_equal() {
    let text = "network n0 { bridge br-0, subnet 172.18.0.0/24 }\n";
    let text = text
        .replace(", ", "\n  ")
        .replace("{ ", "{\n  ")
        .replace(" }", "\n}");
    let side = side(&text, None, Family::V4).expect("a policy");
    let found = question::differences_within(&side, &side, 20);
    assert_eq!(found.err(), Some(question::Unknowable::Exhausted));
    assert!(question::differences(&side, &side).is_ok());
}
