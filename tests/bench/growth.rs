//! How the time grows when a policy doubles.

use super::inputs::{Files, exposures, prefixes};
use super::ns::Namespace;
use super::rows::{Case, Row};
use super::work::{median, run};

const ROUNDS: usize = 3;
const WORKS: [&str; 3] = ["compile", "first apply, nft", "drift, nft"];
/// No more than that many ports are left above the first, and addresses in a network.
const EXPOSURES: [u32; 6] = [1_250, 2_500, 5_000, 10_000, 20_000, 40_000];
const PREFIXES: [u32; 7] = [1_563, 3_125, 6_250, 12_500, 25_000, 50_000, 100_000];

/// Returns the worst doubling of each work.
pub fn growth() -> Vec<Row> {
    let mut rows = of("exposures", &EXPOSURES, |size| exposures(size as usize));
    rows.extend(of("sources", &PREFIXES, |size| prefixes(size, 1)));
    rows
}

fn of(what: &str, sizes: &[u32], policy: impl Fn(u32) -> Files) -> Vec<Row> {
    let costs: Vec<[f64; 3]> = sizes.iter().map(|size| costs(&policy(*size))).collect();
    let worst = |at: usize| {
        let ratio = |step: &usize| costs[*step][at] / costs[step - 1][at];
        let steps = 1..sizes.len();
        steps
            .max_by(|one, other| ratio(one).total_cmp(&ratio(other)))
            .map(|step| (step, ratio(&step)))
            .expect("a doubling")
    };
    let row = |(at, work): (usize, &&str)| {
        let (step, ratio) = worst(at);
        Row {
            work: format!("{work}, {} {what}", sizes[step]),
            took: costs[step][at],
            beside: format!(
                "{} {what}, the worst of {} doublings",
                sizes[step - 1],
                sizes.len() - 1
            ),
            floor: costs[step - 1][at],
            ratio,
            target: "< 2.3".to_owned(),
            unit: "s",
        }
    };
    WORKS.iter().enumerate().map(row).collect()
}

fn costs(policy: &Files) -> [f64; 3] {
    let case = Case::new(policy);
    let compiled: Vec<f64> = (0..ROUNDS).map(|_| run(&case.compile()).cpu).collect();
    let lines = [
        case.both("nft", "engine"),
        case.apply("nft"),
        case.tidegate("nft", "drift"),
    ];
    let [_, first, drift] = Namespace::new().run(move || lines.map(|line| run(&line)));
    [median(compiled), first.cpu, drift.cpu]
}
