//! How long a compilation takes, and reading its rules again, beside what `iptables-restore --test`
//! takes for the same rules.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a bench starts what it compares with, and may stop at once"
)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tidegate::artifact::Bundle;
use tidegate::compile::compile;
use tidegate::netfilter::{Family, dump};
use tidegate::policy::{LoadError, Loader};

struct Files(BTreeMap<String, String>);

impl Loader for Files {
    fn load(&self, name: &str) -> Result<String, LoadError> {
        self.0.get(name).cloned().ok_or(LoadError::Missing)
    }
}

/// Makes a policy of `containers` with one published port each and `sets` trust sets.
fn policy(containers: usize, sets: usize) -> Files {
    let mut text = String::from("host {\n  uplink eth0\n  forwarding on\n  forward drop\n}\n");
    for set in 0..sets {
        let _ = writeln!(
            text,
            "trust set{set} {{ 203.0.{}.0/24, 2001:db8:{set:x}::/48 }}",
            set % 256
        );
    }
    text.push_str("network shop {\n  bridge br-shop\n  subnet 10.128.0.0/16, fd00:18::/64\n}\n");
    for id in 0..containers {
        let (high, low, port) = (id / 250, id % 250 + 2, 10_000 + id);
        let _ = writeln!(
            text,
            "container c{id} on shop at 10.128.{high}.{low} {{\n  expose 80/tcp as {port} from set{}\n}}",
            id % sets
        );
    }
    Files(BTreeMap::from([("policy.tide".to_owned(), text)]))
}

fn bundle(files: &Files) -> Bundle {
    compile(files, "policy.tide")
        .bundle()
        .expect("the policy is right")
}

/// Checks a bundle's IPv4 rules with the machine's own tool, which loads nothing.
fn restore_test(bundle: &Bundle) {
    // The hook in DOCKER-USER needs an engine's chain.
    let rules = bundle.rules(Family::V4);
    let end = rules.rfind("*filter").unwrap_or(rules.len());
    let mut child = Command::new("unshare")
        .args(["--net", "iptables-restore", "--noflush", "--test"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("unshare runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin
        .write_all(&rules.as_bytes()[..end])
        .expect("it reads all");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

/// Returns a bundle's IPv4 rules as a host prints them that has an engine's chain for the last hook.
fn saved(bundle: &Bundle) -> String {
    let chain = "*filter\n:DOCKER-USER - [0:0]\nCOMMIT\n";
    format!("{chain}{}", bundle.rules(Family::V4))
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("1,000 exposures, 100 sets");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(5));
    let files = policy(1000, 100);
    group.bench_function("compile", |bench| bench.iter(|| bundle(&files)));
    let compiled = bundle(&files);
    let saved = saved(&compiled);
    let read = || dump::read(&saved, Family::V4).expect("rules");
    let count = read().rule_count();
    group.bench_function(format!("read {count} IPv4 rules"), |bench| {
        bench.iter(read);
    });
    if nix::unistd::geteuid().is_root() {
        group.bench_function("iptables-restore --test", |bench| {
            bench.iter(|| restore_test(&compiled));
        });
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
