//! Compiling and putting in force, beside iptables' own tools.

use std::fmt;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::inputs::{Files, exposures, prefixes};
use super::ns::Namespace;
use super::work::{Cost, compare, median, run};

const ROUNDS: usize = 3;
pub const VARIANTS: [&str; 2] = ["nft", "legacy"];

/// One line of the table; times in seconds, unless the unit says otherwise.
#[derive(Debug)]
pub struct Row {
    pub work: String,
    pub took: f64,
    pub beside: String,
    pub floor: f64,
    pub ratio: f64,
    pub target: String,
    pub unit: &'static str,
}

impl Row {
    pub fn of(
        work: impl Into<String>,
        beside: &str,
        rounds: &[(Cost, Cost)],
        target: &str,
    ) -> Self {
        let (took, floor, ratio) = compare(rounds);
        Row {
            work: work.into(),
            took,
            beside: beside.to_owned(),
            floor,
            ratio,
            target: target.to_owned(),
            unit: "s",
        }
    }

    /// A row for what is not there to be measured.
    pub fn absent(beside: &str) -> Self {
        Row {
            work: "not measured".to_owned(),
            took: f64::NAN,
            beside: format!("`{beside}` is not installed"),
            floor: f64::NAN,
            ratio: f64::NAN,
            target: String::new(),
            unit: "s",
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row {
            work,
            took,
            beside,
            floor,
            ratio,
            target,
            unit,
        } = self;
        if ratio.is_nan() {
            return write!(f, "| {work} | | {beside} | | | {target} |");
        }
        write!(
            f,
            "| {work} | {took:.3} {unit} | {beside} | {floor:.3} {unit} | {ratio:.2} | {target} |"
        )
    }
}

/// Returns the program that is measured.
pub fn tidegate() -> String {
    std::env::var("TIDEGATE").unwrap_or_else(|_| env!("CARGO_BIN_EXE_tidegate").to_owned())
}

/// A policy and its bundle, in a folder that also serves as the root of a machine's files.
pub struct Case {
    folder: TempDir,
}

impl Case {
    pub fn new(files: &Files) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in &files.0 {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let case = Case { folder };
        fs::create_dir(case.path().join("root")).unwrap();
        fs::write(case.path().join("engine"), ENGINE).unwrap();
        case
    }

    pub fn compiled(files: &Files) -> Self {
        let case = Case::new(files);
        run(&case.compile());
        case
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn compile(&self) -> String {
        let folder = self.path().display();
        format!(
            "cd {folder} && {} compile policy.tide -o bundle",
            tidegate()
        )
    }

    /// Returns a shell's line that runs a tool of both families.
    pub fn both(&self, variant: &str, verb: &str) -> String {
        let folder = self.path().display();
        let line = |tool: &str, file: &str| match verb {
            "save" => format!("{tool}-{variant}-save"),
            "engine" => format!("{tool}-{variant}-restore <{folder}/engine"),
            "test" => format!("{tool}-{variant}-restore --noflush --test <{folder}/bundle/{file}"),
            _ => format!("{tool}-{variant}-restore --noflush <{folder}/bundle/{file}"),
        };
        format!(
            "{}; {}",
            line("iptables", "rules.v4"),
            line("ip6tables", "rules.v6")
        )
    }

    pub fn tidegate(&self, variant: &str, verb: &str) -> String {
        let folder = self.path().display();
        format!(
            "{} {verb} --root {folder}/root --iptables {variant}",
            tidegate()
        )
    }

    /// Puts the bundle in force where nothing of ours is yet, in a new namespace.
    pub fn first_apply(&self, variant: &str) -> Cost {
        self.forget();
        fresh(&[self.both(variant, "engine"), self.apply(variant)])
    }

    pub fn apply(&self, variant: &str) -> String {
        let bundle = self.path().join("bundle");
        format!("{} {}", self.tidegate(variant, "apply"), bundle.display())
    }

    fn forget(&self) {
        run(&format!(
            "rm -rf {0}/root; mkdir {0}/root",
            self.path().display()
        ));
    }
}

/// What the rules need of an engine that has started.
const ENGINE: &str = "*filter\n:DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\nCOMMIT\n";

/// Runs command lines one after the other in a new namespace, and returns what the last took.
pub fn fresh(lines: &[String]) -> Cost {
    let lines = lines.to_vec();
    Namespace::new().run(move || {
        let costs: Vec<Cost> = lines.iter().map(|line| run(line)).collect();
        *costs.last().expect("a line")
    })
}

pub fn compile() -> Vec<Row> {
    let many = Case::compiled(&exposures(10_000));
    let set = Case::compiled(&prefixes(100_000, 50));
    [
        (&many, "10,000 exposures, `--unproven`", "0.15 s, < 1.5"),
        (&many, "10,000 exposures, proven", "0.4 s"),
        (&set, "100,000 prefixes for 50 exposures, proven", "1.5 s"),
    ]
    .map(|(case, what, target)| compiled(case, what, target))
    .into()
}

fn compiled(case: &Case, what: &str, target: &str) -> Row {
    let mut line = case.compile();
    if what.contains("--unproven") {
        line.push_str(" --unproven");
    }
    let round = |_| {
        let floor = fresh(&[case.both("nft", "engine"), case.both("nft", "test")]);
        (run(&line), floor)
    };
    let rounds: Vec<(Cost, Cost)> = (0..ROUNDS).map(round).collect();
    let clock = median(rounds.iter().map(|(own, _)| own.wall).collect());
    let work = format!("compile {what}: {clock:.2} s by the clock");
    let test = "`iptables-restore --test`, both families";
    Row::of(work, test, &rounds, target)
}

pub fn apply() -> Vec<Row> {
    let case = Case::compiled(&exposures(10_000));
    VARIANTS
        .iter()
        .flat_map(|variant| applied(&case, variant))
        .collect()
}

/// What it takes to put one bundle in force in the four ways that happen.
fn applied(case: &Case, variant: &str) -> Vec<Row> {
    let mut rounds: [Vec<(Cost, Cost)>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let engine = case.both(variant, "engine");
        let load = fresh(&[engine.clone(), case.both(variant, "restore")]);
        case.forget();
        let apply = case.apply(variant);
        let [first, save, again, drift] = {
            let lines = [
                apply.clone(),
                case.both(variant, "save"),
                apply,
                case.tidegate(variant, "drift"),
            ];
            Namespace::new().run(move || {
                run(&engine);
                lines.map(|line| run(&line))
            })
        };
        let boot = case.tidegate(variant, "apply --boot");
        let boot = fresh(&[case.both(variant, "engine"), boot]);
        for (rounds, pair) in
            rounds
                .iter_mut()
                .zip([(first, load), (boot, load), (again, save), (drift, save)])
        {
            rounds.push(pair);
        }
    }
    let restore = format!("`iptables-{variant}-restore --noflush`, both families");
    let saved = format!("`iptables-{variant}-save`, both families");
    [
        ("first apply of 10,000 exposures", &restore, "< 3"),
        ("apply at boot", &restore, "< 1.4"),
        ("apply with nothing to change", &saved, "< 1.5"),
        ("drift", &saved, "< 1.5"),
    ]
    .into_iter()
    .zip(&rounds)
    .map(|((work, beside, target), rounds)| {
        Row::of(format!("{work}, {variant}"), beside, rounds, target)
    })
    .collect()
}
