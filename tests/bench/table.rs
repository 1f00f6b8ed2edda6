//! Measures everything that has a target, beside its floor in the same run, and writes the table into
//! docs/performance.md: `cargo bench --bench table`, as root, in network namespaces of its own.
//!
//! `cargo bench --bench table -- ROW…` measures some rows alone: compile, apply, packets, growth, peers.
//! `TIDEGATE=PATH` measures another program than the one that was built with the bench.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a bench starts what it compares with, and may stop at once"
)]

mod growth;
mod inputs;
mod lane;
#[path = "../support/ns.rs"]
mod ns;
mod packets;
mod peer_inputs;
mod peers;
mod rows;
mod work;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use rows::Row;

const FILE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- table: cargo bench --bench table -->\n";
const END: &str = "<!-- end of table -->\n";

type Measure = fn() -> Vec<Row>;

fn main() {
    if !ns::is_root() {
        return;
    }
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let all: [(&str, Measure); 5] = [
        ("compile", rows::compile),
        ("apply", rows::apply),
        ("packets", packets::packets),
        ("peers", peers::peers),
        ("growth", growth::growth),
    ];
    let mut text = conditions();
    for (name, measure) in all {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            let part = table(name, &measure());
            eprint!("{part}");
            text.push_str(&part);
        }
    }
    if wanted.is_empty() {
        write(&text);
    }
}

/// Returns the machine and the versions that the figures are of.
fn conditions() -> String {
    let said = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let text = text.unwrap_or_default();
        text.lines().next().unwrap_or("not installed").to_owned()
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("processor", |it| it.trim_start_matches(['\t', ':', ' ']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{}, {cores} cores of {model}, Linux {}, {}. Others used {:.1} of the cores when it began.\n",
        said("date", "+%F"),
        said("uname", "-r"),
        said("iptables", "--version"),
        load(),
    )
}

fn load() -> f32 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.unwrap_or_default()
}

fn table(name: &str, rows: &[Row]) -> String {
    let mut text =
        format!("\n### {name}\n\n| work | it takes | beside | which takes | ratio | target |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    text
}

fn write(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let old = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = old.split_once(BEGIN).expect("the file has the marks");
    let (_, after) = rest.split_once(END).expect("the file has the marks");
    let new = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    std::fs::write(&path, new).unwrap();
}
