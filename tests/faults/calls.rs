//! Every call into the kernel, one after the other: killed there, and failing there. strace(1) makes
//! it so, in the real program.

use std::collections::BTreeMap;
use std::fs;

use tidegate::host::{Host, Variant};

use super::place::Place;
use super::tally::{Tally, is_long_run};
use crate::support::env::on;

/// Calls that change files or start something.
const KILLED: [&str; 8] = [
    "write",
    "rename",
    "unlink",
    "unlinkat",
    "mkdir",
    "fsync",
    "clone3",
    "ftruncate",
];

/// What each may answer on a machine that is full, broken or poor.
const FAILING: [(&str, &str); 10] = [
    ("write", "ENOSPC"),
    ("openat", "EMFILE"),
    ("rename", "EROFS"),
    ("fsync", "EIO"),
    ("mkdir", "ENOSPC"),
    ("unlink", "EROFS"),
    ("unlinkat", "EIO"),
    ("fchmod", "EACCES"),
    ("clone3", "ENOMEM"),
    ("pipe2", "ENFILE"),
];

const APPLY: [&str; 2] = ["apply", "@"];

/// Returns how often each call is made, by the program's first thread.
fn count(place: &Place<'_>, next: usize) -> BTreeMap<String, usize> {
    let log = place.env.root.path().join("calls");
    let output = place
        .below(&["strace", "-o", log.to_str().unwrap()], &APPLY, next)
        .output();
    assert!(output.unwrap().status.success());
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(&log).unwrap().lines() {
        if let Some((name, _)) = line.split_once('(') {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// Runs an apply in which the call `name` goes wrong at its `number`th time.
fn run(
    place: &Place<'_>,
    next: usize,
    name: &str,
    number: usize,
    what: &str,
) -> std::process::Output {
    let inject = format!("inject={name}:{what}:when={number}");
    let filter = format!("trace={name}");
    let outer = ["strace", "-o", "/dev/null", "-e", &filter, "-e", &inject];
    place.below(&outer, &APPLY, next).output().unwrap()
}

fn killed_at_every_call(variant: Variant) {
    on(variant, |env| {
        let place = Place::new(env);
        let counts = count(&place, 1);
        let mut now = 1;
        let mut tally = Tally::of(format!("kill -9 at a call, {variant:?}"));
        for name in KILLED {
            for number in 1..=counts.get(name).copied().unwrap_or(0) {
                tally.fault(|| {
                    run(&place, 1 - now, name, number, "signal=KILL");
                    drop(env.host.lock().unwrap());
                    place.is_whole();
                    heal(&place, 1 - now);
                });
                now = 1 - now;
            }
        }
    });
}

#[track_caller]
fn heal(place: &Place<'_>, next: usize) {
    let output = place.run(&APPLY, next);
    assert!(output.status.success(), "{output:?}");
    place.stands(next);
}

#[test]
fn killed_at_every_call_it_is_old_or_new_nft() {
    killed_at_every_call(Variant::Nft);
}

#[test]
fn killed_at_every_call_it_is_old_or_new_legacy() {
    killed_at_every_call(Variant::Legacy);
}

/// Exit status 3 promises the old state, files too; 0 and T0528 the new one; a 4 says that going back failed.
fn failing_at_every_call(variant: Variant) {
    on(variant, |env| {
        let place = Place::new(env);
        let counts = count(&place, 1);
        let mut now = 1;
        let mut tally = Tally::of(format!("a call that fails, {variant:?}"));
        for (name, error) in FAILING {
            for number in 1..=counts.get(name).copied().unwrap_or(0) {
                tally.fault(|| {
                    let output = run(&place, 1 - now, name, number, &format!("error={error}"));
                    let text = String::from_utf8_lossy(&output.stderr).into_owned();
                    let place_of = format!("{name} {number} {error}: {text}");
                    match output.status.code() {
                        Some(0) => place.stands(1 - now),
                        // The dynamic linker's own.
                        Some(127) => place.stands(now),
                        // The rules are in force; whether nft's table is, nobody can say.
                        Some(1) if text.starts_with("error[T0528]") => {
                            place.stands(1 - now);
                            tells(&place_of, &text);
                        }
                        Some(3) => {
                            place.stands(now);
                            tells(&place_of, &text);
                        }
                        status => panic!("{status:?}: {place_of}"),
                    }
                    heal(&place, 1 - now);
                });
                now = 1 - now;
            }
        }
    });
}

/// The message has a code, a reason, what stands, and a help.
#[track_caller]
fn tells(place: &str, text: &str) {
    assert!(text.starts_with("error[T05"), "{place}");
    assert!(text.contains("\nhelp: "), "{place}");
    assert!(!text.contains("os error"), "{place}");
}

#[test]
fn every_call_that_fails_brings_the_old_state_back_nft() {
    failing_at_every_call(Variant::Nft);
}

#[test]
fn every_call_that_fails_brings_the_old_state_back_legacy() {
    if is_long_run() {
        failing_at_every_call(Variant::Legacy);
    }
}
