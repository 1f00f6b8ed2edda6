//! How long it takes to prove that rules mean what their policy says, beside a compilation without the
//! proof's parts: making the rules and writing them.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a bench may stop at once"
)]

mod inputs;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tidegate::lint::lint;
use tidegate::meaning::{Chains, MAX_EDGES, Space, validate};
use tidegate::netfilter::{Family, dump, optimised, render, render_chains};
use tidegate::policy::{Loaded, load};

use inputs::{Files, HEAD, exposures, prefixes};

fn rules(loaded: &Loaded) -> String {
    let policy = loaded.policy().expect("the policy is right");
    let rules = optimised(policy, Family::V4).expect("few rules");
    render(&rules, &render_chains(&rules, &loaded.sources))
}

fn proven(criterion: &mut Criterion, name: &str, files: &Files) {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(8));
    let loaded = load(files, "policy.tide");
    let policy = loaded.policy().expect("the policy is right");
    group.bench_function("make and write IPv4 rules", |bench| {
        bench.iter(|| rules(&loaded));
    });
    let text = rules(&loaded);
    group.bench_function("read them and prove them", |bench| {
        bench.iter(|| validate(policy, &text, Family::V4, MAX_EDGES).expect("proven"));
    });
    group.finish();
}

/// Reads the rules of 1,250 exposures, some 5,000, and works out what FORWARD does.
fn summarised(criterion: &mut Criterion) {
    let loaded = load(&exposures(1250), "policy.tide");
    let chain = "*filter\n:DOCKER-USER - [0:0]\nCOMMIT\n";
    let text = format!("{chain}{}", rules(&loaded));
    let count = dump::read(&text, Family::V4).expect("rules").rule_count();
    let mut group = criterion.benchmark_group(format!("a dump of {count} rules"));
    group.sample_size(20);
    group.bench_function("read and summarise", |bench| {
        bench.iter(|| {
            let dump = dump::read(&text, Family::V4).expect("rules");
            let mut space = Space::new(Family::V4, [&dump], &[], MAX_EDGES);
            for (name, table) in &dump.tables {
                let mut chains = Chains::new(name, table);
                for chain in ["PREROUTING", "FORWARD", "INPUT", "OUTPUT", "POSTROUTING"] {
                    chains.hook(&mut space, chain).expect("no circles");
                }
            }
            space.diagrams.edge_count()
        });
    });
    group.finish();
}

/// Makes a policy of 300 statements about 60 containers, of which many overlap.
fn statements() -> Files {
    let mut text = HEAD.to_owned();
    for id in 0..60 {
        let _ = writeln!(
            text,
            "trust s{id} {{ 198.{}.0.0/16, 203.0.{id}.0/24 }}\n\
             container c{id} on shop at 10.128.0.{} {{\n  expose 80/tcp as {} from s{id}\n}}",
            id % 20,
            id + 2,
            8000 + id
        );
    }
    for at in 0..300 {
        let (left, right, port) = (at % 60, at * 7 % 59, at % 90);
        let verb = if at % 5 == 0 { "deny" } else { "allow" };
        let from = ["s", "c"][at / 60 % 2];
        let _ = writeln!(
            text,
            "{verb} {from}{left} -> c{right} : {}-{}/tcp",
            port + 1,
            port + 1 + at % 40
        );
    }
    Files(BTreeMap::from([("policy.tide".to_owned(), text)]))
}

/// Compares each statement with the union of all others.
fn linted(criterion: &mut Criterion, name: &str, files: &Files) {
    let loaded = load(files, "policy.tide");
    assert!(!loaded.policies.is_empty(), "the policy is right");
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(8));
    let found = lint(&loaded.policies).len();
    group.bench_function(format!("lint, {found} found"), |bench| {
        bench.iter(|| lint(&loaded.policies));
    });
    group.finish();
}

fn benches(criterion: &mut Criterion) {
    linted(criterion, "300 statements", &statements());
    linted(criterion, "10,000 exposures", &exposures(10_000));
    summarised(criterion);
    proven(criterion, "10,000 exposures", &exposures(10_000));
    proven(
        criterion,
        "a set of 100,000 prefixes",
        &prefixes(100_000, 1),
    );
    proven(
        criterion,
        "a set of 100,000 prefixes for 50 exposures",
        &prefixes(100_000, 50),
    );
}

criterion_group!(all, benches);
criterion_main!(all);
