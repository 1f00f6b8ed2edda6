//! Both evaluators over random rules of any kind, with packets at the bounds of what they say.
//!
//! `TIDEGATE_PACKETS=10000000 cargo nextest run --release --no-capture props::dumps` sends more.

use std::thread;
use std::time::Instant;

use tidegate::meaning::{Journey, Space};
use tidegate::net::Family;
use tidegate::netfilter::dump::read;
use tidegate::netfilter::trace::{Machine, Probe};

use super::dice::Dice;
use super::dump_machines as machines;
use super::dump_rules as rules;
use super::symbolic::agree;

const EDGES: usize = 4_000_000;
const PACKETS: usize = 200_000;
const PACKETS_OF_ONE: usize = 200;

/// All packets of a machine at once.
struct Whole {
    space: Space,
    journey: Journey,
}

fn whole(machine: &Machine) -> Whole {
    let mut space = Journey::space(&[machine], &[], EDGES);
    let journey = Journey::new(&mut space, machine).expect("no circles");
    assert!(!space.diagrams.is_exhausted(), "these rules are few");
    Whole { space, journey }
}

/// Returns what is said otherwise of packets of one seed, with rules as few as show it.
fn check(seed: u64) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let family = dice.pick(&Family::BOTH);
    let text = rules::text(&mut dice, family, true);
    let machine = machines::machine(&mut dice, family, &text);
    let Whole { space, journey } = whole(&machine);
    for _ in 0..PACKETS_OF_ONE {
        let probe = machines::packet(&mut dice, family);
        if agree(&space, &journey, &machine, &probe).is_err() {
            return Err(format!(
                "seed {seed}:\n{}",
                shortened(machine, &text, &probe)
            ));
        }
    }
    Ok(())
}

/// Leaves out rules as long as a packet is still said to go two ways.
fn shortened(mut machine: Machine, text: &str, probe: &Probe) -> String {
    let mut differs = |lines: &[&str]| {
        machine.rules = read(&lines.join("\n"), machine.family).expect("rules");
        let Whole { space, journey } = whole(&machine);
        agree(&space, &journey, &machine, probe).err()
    };
    let mut lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        let mut fewer = lines.clone();
        if fewer.remove(at).starts_with('-') && differs(&fewer).is_some() {
            lines = fewer;
        } else {
            at += 1;
        }
    }
    let said = differs(&lines).unwrap_or_default();
    let (own, routes) = (&machine.interfaces, &machine.routes);
    format!("{}\n{own:?}\n{routes:?}\n{said}", lines.join("\n"))
}

#[test]
fn random_rules_mean_the_same_to_both() {
    let wanted = std::env::var("TIDEGATE_PACKETS").map(|text| text.parse().expect("a number"));
    let wanted: usize = wanted.unwrap_or(PACKETS);
    let (seeds, start) = ((wanted / PACKETS_OF_ONE) as u64, Instant::now());
    let threads = thread::available_parallelism().map_or(1, |it| it.get() as u64);
    let share = move |first: u64| -> Vec<String> {
        let own = (first..seeds).step_by(threads as usize);
        own.filter_map(|seed| check(seed).err()).take(3).collect()
    };
    let running: Vec<_> = (0..threads)
        .map(|first| thread::spawn(move || share(first)))
        .collect();
    let wrong: Vec<String> = running
        .into_iter()
        .flat_map(|it| it.join().expect("no panic"))
        .collect();
    eprintln!(
        "{} packets of {seeds} rule sets compared in {:.1} s, {} disagreements",
        seeds as usize * PACKETS_OF_ONE,
        start.elapsed().as_secs_f64(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
