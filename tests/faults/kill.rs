//! The program killed at any moment, and several of it at once.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tidegate::artifact::Bundle;
use tidegate::deploy::{self, Options, TideState};
use tidegate::host::Host;
use tidegate::netfilter::{Family, Table, save};

use crate::support::bundle::{Sample, write};
use crate::support::env::{Env, on_both};

/// How many moments are tried for each variant; the variable is for long runs by hand.
fn moments() -> u32 {
    let count = std::env::var("TIDEGATE_KILLS").ok();
    count.and_then(|count| count.parse().ok()).unwrap_or(30)
}

fn start(env: &Env, bundle: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .arg("apply")
        .arg(env.root.path().join(bundle))
        .arg("--root")
        .arg(env.root.path())
        .args(["--iptables", env.variant_name()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn bundles(env: &Env) -> [Bundle; 2] {
    let first = Sample::shop().bundle();
    let second = Sample::shop()
        .with_both("shop-in", "store-in")
        .with_both("5432", "9187");
    let bundles = [first, second.bundle()];
    write(&bundles[0], &env.root.path().join("0"));
    write(&bundles[1], &env.root.path().join("1"));
    bundles
}

/// Returns a family's chains of ours in one table, with their rules.
fn ours(env: &Env, family: Family, table: Table) -> Option<deploy::TideTable> {
    let live = save::parse(&env.host.save(family).unwrap()).unwrap();
    TideState::snapshot(&live).table(table).cloned()
}

fn assert_old_or_new(env: &Env, bundles: &[Bundle; 2]) {
    for family in Family::BOTH {
        for table in [Table::Mangle, Table::Filter] {
            let now = ours(env, family, table).unwrap_or_default().chains;
            let whole = bundles.iter().any(|bundle| {
                let state = TideState::of_bundle(bundle, family).unwrap();
                state.table(table).is_some_and(|table| table.chains == now)
            });
            assert!(whole, "{family} {table}: {now:?}");
        }
    }
}

#[test]
fn killed_at_any_moment_each_table_is_old_or_new() {
    on_both(|env| {
        let bundles = bundles(env);
        deploy::apply(&env.host, &bundles[1], Options::default()).unwrap();
        let begin = Instant::now();
        assert!(start(env, "0").wait().unwrap().success());
        let whole = begin.elapsed();
        for moment in 0..moments() {
            let next = usize::from(moment % 2 == 0);
            let mut child = start(env, &next.to_string());
            wait(whole * (moment * 7919 % 101) / 100);
            child.kill().unwrap();
            child.wait().unwrap();
            // A command that the killed program had started holds the lock until it has ended.
            drop(env.host.lock().unwrap());
            assert_old_or_new(env, &bundles);
            deploy::apply(&env.host, &bundles[next], Options::default()).unwrap();
            assert!(deploy::drift(&env.host).unwrap().is_clean());
        }
    });
}

/// Lets a moment pass: here the moment is what is tested, there is nothing to wait for.
fn wait(moment: Duration) {
    std::thread::sleep(moment);
}

#[test]
fn many_at_once_take_turns() {
    on_both(|env| {
        let bundles = bundles(env);
        let children: Vec<Child> = (0..6).map(|i| start(env, &(i % 2).to_string())).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{error}");
        }
        assert_old_or_new(env, &bundles);
        assert!(deploy::drift(&env.host).unwrap().is_clean());
    });
}

#[test]
fn a_lock_that_is_kept_names_its_holder() {
    on_both(|env| {
        let _lock = env.host.lock().unwrap();
        let impatient = env.host.clone().waiting(Duration::ZERO);
        let error = deploy::apply(&impatient, &Sample::shop().bundle(), Options::default());
        let error = error.unwrap_err().to_string();
        let pid = std::process::id().to_string();
        assert!(error.contains(&format!("process {pid},")), "{error}");
    });
}
