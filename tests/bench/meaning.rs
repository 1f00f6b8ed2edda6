//! How long it takes to prove that rules mean what their policy says, beside a compilation without the
//! proof's parts: making the rules and writing them.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a bench may stop at once"
)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tidegate::meaning::{Chains, MAX_EDGES, Space, validate};
use tidegate::netfilter::{Family, dump, lower, render, render_chains};
use tidegate::policy::{LoadError, Loaded, Loader, load};

struct Files(BTreeMap<String, String>);

impl Loader for Files {
    fn load(&self, name: &str) -> Result<String, LoadError> {
        self.0.get(name).cloned().ok_or(LoadError::Missing)
    }
}

const HEAD: &str = "host {\n  uplink eth0\n  forwarding on\n  forward drop\n}\n\
                    network shop {\n  bridge br-shop\n  subnet 10.128.0.0/16\n}\n";

/// Makes a policy of containers with one published port each, every one for a source of its own.
fn exposures(count: usize) -> Files {
    let mut files = BTreeMap::new();
    let mut main = HEAD.to_owned();
    for part in 0..count.div_ceil(2500) {
        let _ = writeln!(main, "include \"part{part}.tide\"");
        let mut text = String::new();
        for id in part * 2500..count.min((part + 1) * 2500) {
            let (high, low, port) = (id / 250, id % 250 + 2, 10_000 + id);
            let _ = writeln!(
                text,
                "trust s{id} {{ 198.18.{}.{} }}\n\
                 container c{id} on shop at 10.128.{high}.{low} {{\n  expose 80/tcp as {port} from s{id}\n}}",
                id / 256,
                id % 256
            );
        }
        files.insert(format!("part{part}.tide"), text);
    }
    files.insert("policy.tide".to_owned(), main);
    Files(files)
}

/// Makes a policy of one published port for a set of `count` prefixes, no two of which touch.
fn prefixes(count: u32) -> Files {
    let prefix = |at: u32| {
        let [a, b, c, d] = (0x0b00_0000 + at * 24_576).to_be_bytes();
        format!("{a}.{b}.{c}.{d}/{}\n", 20 + at % 12)
    };
    let list: String = (0..count).map(prefix).collect::<Vec<_>>().concat();
    let main = format!(
        "{HEAD}trust many {{ file \"many.txt\" }}\n\
         container c on shop at 10.128.0.2 {{\n  expose 80/tcp as 8080 from many\n}}\n"
    );
    Files(BTreeMap::from([
        ("policy.tide".to_owned(), main),
        ("many.txt".to_owned(), list),
    ]))
}

fn rules(loaded: &Loaded) -> String {
    let policy = loaded.policy().expect("the policy is right");
    let rules = lower(policy, Family::V4).expect("few rules");
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

fn benches(criterion: &mut Criterion) {
    summarised(criterion);
    proven(criterion, "10,000 exposures", &exposures(10_000));
    proven(criterion, "a set of 100,000 prefixes", &prefixes(100_000));
}

criterion_group!(all, benches);
criterion_main!(all);
