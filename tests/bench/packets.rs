//! What rules cost a packet that begins a connection, beside the same machine without a policy.

use std::fs;
use std::net::Ipv4Addr;

use super::inputs::{Files, HEAD, address, list};
use super::lane::Lane;
use super::rows::{Case, Row, VARIANTS};
use super::work::{median, run};

const ROUNDS: usize = 9;
/// In each round, to each machine.
const PACKETS: u16 = 10_000;
/// In none of the lists.
const STRANGER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);

/// A machine that lets the sources of a list through; without a list, everybody.
struct Setting {
    name: String,
    lane: Lane,
    /// Late in the list: the worst for a list that is read from the front.
    source: Ipv4Addr,
}

impl Setting {
    fn new(variant: &str, name: String, count: u32, optimise: bool) -> Self {
        let rules = if count == 0 {
            String::new()
        } else {
            compiled(count, optimise)
        };
        let lane = Lane::new(variant, &rules);
        let source = address(count.saturating_sub(1));
        lane.warm_up(source);
        if count > 0 {
            lane.parts(source, STRANGER);
        }
        Setting { name, lane, source }
    }
}

/// Returns the IPv4 rules for a list of sources of one published port, which is the lane's.
fn compiled(count: u32, optimise: bool) -> String {
    let main = format!(
        "{HEAD}trust many {{ file \"many.txt\" }}\n\
         container sink on shop at 10.128.0.2 {{\n  expose 7/udp as 8080 from many\n}}\n"
    );
    let files = [("policy.tide", main), ("many.txt", list(count))];
    let case = Case::new(&Files(
        files.map(|(name, text)| (name.to_owned(), text)).into(),
    ));
    let option = if optimise { "" } else { " --no-optimise" };
    run(&format!("{}{option}", case.compile()));
    fs::read_to_string(case.path().join("bundle/rules.v4")).unwrap()
}

pub fn packets() -> Vec<Row> {
    VARIANTS.iter().flat_map(|variant| of(variant)).collect()
}

fn of(variant: &str) -> Vec<Row> {
    let setting = |name: &str, count, optimise| {
        Setting::new(variant, format!("{name}, {variant}"), count, optimise)
    };
    let settings = [
        setting("no policy", 0, true),
        setting("10 sources", 10, true),
        setting("1,000 sources", 1_000, true),
        setting("100,000 sources", 100_000, true),
        setting("10,000 sources as a list", 10_000, false),
    ];
    let times = rounds(&settings);
    let row = |at: usize, beside: usize, target: &str| {
        let ratios = times.iter().map(|round| round[at] / round[beside]);
        let middle = |at: usize| median(times.iter().map(|round| round[at]).collect()) * 1e6;
        Row {
            work: settings[at].name.clone(),
            took: middle(at),
            beside: settings[beside].name.clone(),
            floor: middle(beside),
            ratio: median(ratios.collect()),
            target: target.to_owned(),
            unit: "µs",
        }
    };
    vec![
        row(1, 0, "< 1.15"),
        row(2, 0, "< 1.15"),
        row(3, 0, "< 1.15"),
        row(3, 1, "< 1.10"),
        row(4, 0, ""),
    ]
}

/// Returns the seconds that a packet takes, by round and setting; each round begins with another one.
fn rounds(settings: &[Setting]) -> Vec<Vec<f64>> {
    let round = |number: usize| {
        let mut times = vec![0.0; settings.len()];
        for step in 0..settings.len() {
            let at = (step + number) % settings.len();
            let setting = &settings[at];
            times[at] = setting.lane.carries(setting.source, PACKETS);
        }
        times
    };
    // The first one warms the caches up.
    (0..=ROUNDS).map(round).skip(1).collect()
}
