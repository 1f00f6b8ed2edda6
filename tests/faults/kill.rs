//! The program killed at any moment, and several of it at once.

use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tidegate::artifact::{Bundle, MANIFEST};
use tidegate::deploy;
use tidegate::host::{Host, Variant};
use tidegate::netfilter::Family;

use super::place::Place;
use super::tally::Tally;
use super::wire::Wire;
use crate::support::bundle::write;
use crate::support::env::{Env, on};

/// A command that may be killed.
struct Verb {
    name: &'static str,
    words: &'static [&'static str],
    /// Brings the machine to where the command has something to do.
    prepare: fn(&Place<'_>, usize),
}

/// Those that change one policy for another. A new command is one more line.
const CHANGES: &[Verb] = &[
    Verb {
        name: "apply",
        words: &["apply", "@"],
        prepare: |_, _| {},
    },
    Verb {
        name: "apply --boot",
        words: &["apply", "--boot"],
        prepare: |place, next| place.install(next),
    },
    Verb {
        name: "drift --repair",
        words: &["drift", "--repair"],
        prepare: |place, next| place.install(next),
    },
];

/// Those before and after which there may be none.
const ENDS: &[Verb] = &[
    Verb {
        name: "apply, the first",
        words: &["apply", "@"],
        prepare: take_away,
    },
    Verb {
        name: "install",
        words: &["install", "@"],
        prepare: |_, _| {},
    },
    Verb {
        name: "uninstall",
        words: &["uninstall"],
        prepare: |place, _| place.settle(0),
    },
];

fn take_away(place: &Place<'_>, _: usize) {
    deploy::uninstall(&place.env.host).unwrap();
}

/// How many moments are tried in all, for each variant; the variable is for long runs by hand.
fn moments(usual: u32) -> u32 {
    let count = std::env::var("TIDEGATE_KILLS").ok();
    count.and_then(|count| count.parse().ok()).unwrap_or(usual)
}

/// Returns the moment's share of a command's time, in thousandths: the same in every run.
fn share(moment: u32) -> u32 {
    (moment.wrapping_mul(2_654_435_761) >> 8) % 1050
}

fn measured(place: &Place<'_>, verb: &Verb) -> Duration {
    (verb.prepare)(place, 1);
    let begin = Instant::now();
    let output = place.run(verb.words, 1);
    assert!(output.status.success(), "{}: {output:?}", verb.name);
    let whole = begin.elapsed();
    place.settle(0);
    whole
}

/// Kills a command after a part of its time, and waits for what it had started: that holds its lock.
fn kill(place: &Place<'_>, verb: &Verb, next: usize, after: Duration) {
    (verb.prepare)(place, next);
    let mut command = place.command(verb.words, next);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The moment is what is tested: there is nothing else to wait for.
    thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(place.env.host.lock().unwrap());
}

#[track_caller]
fn succeeds(place: &Place<'_>, words: &[&str], next: usize) {
    let output = place.run(words, next);
    assert!(output.status.success(), "{words:?}: {output:?}");
}

/// What is closed stays closed, and what is open open, whenever a change ends half way.
fn changes_are_killed(variant: Variant) {
    on(variant, |env| {
        let place = Place::new(env);
        let wire = Wire::lay(&place);
        let mut tally = Tally::of(format!("kill -9 of a change, {variant:?}"));
        let times: Vec<Duration> = CHANGES.iter().map(|verb| measured(&place, verb)).collect();
        for moment in 0..moments(400) {
            let next = 1 - (moment % 2) as usize;
            let (verb, time) = CHANGES
                .iter()
                .zip(&times)
                .nth(moment as usize / 2 % CHANGES.len())
                .unwrap();
            tally.fault(|| {
                kill(&place, verb, next, *time * share(moment) / 1000);
                place.is_whole();
                succeeds(&place, verb.words, next);
                if moment % 8 == 0 {
                    succeeds(&place, &["drift"], next);
                }
                place.stands(next);
            });
        }
        tally.note(&wire.holds());
    });
}

#[test]
fn a_change_killed_at_any_moment_is_old_or_new_nft() {
    changes_are_killed(Variant::Nft);
}

#[test]
fn a_change_killed_at_any_moment_is_old_or_new_legacy() {
    changes_are_killed(Variant::Legacy);
}

fn ends_are_killed(variant: Variant) {
    on(variant, |env| {
        let place = Place::new(env);
        let mut tally = Tally::of(format!(
            "kill -9 of the first and the last command, {variant:?}"
        ));
        for verb in ENDS {
            let time = measured(&place, verb);
            for moment in 0..moments(105) / 3 {
                tally.fault(|| {
                    kill(&place, verb, 1, time * share(moment) / 1000);
                    place.is_whole_or_nothing();
                    succeeds(&place, verb.words, 1);
                    if verb.words == ["uninstall"] {
                        assert!(!env.has_rules_of_ours());
                        assert!(!env.host.exists(deploy::store::STATE));
                    } else {
                        // It changes no rule; with `apply` it is done already.
                        succeeds(&place, &["apply", "--boot"], 1);
                        place.stands(1);
                    }
                    place.settle(0);
                });
            }
        }
    });
}

#[test]
fn the_first_and_the_last_command_may_be_killed_nft() {
    ends_are_killed(Variant::Nft);
}

#[test]
fn the_first_and_the_last_command_may_be_killed_legacy() {
    ends_are_killed(Variant::Legacy);
}

#[test]
fn a_bundle_is_whole_or_absent_when_its_compiler_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.tide");
    fs::copy(
        crate::support::files::repository().join("examples/01-web-host.tide"),
        &policy,
    )
    .unwrap();
    let output = folder.path().join("bundle");
    let compile = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("compile").arg(&policy).arg("-o").arg(&output);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let begin = Instant::now();
    assert!(compile().wait().unwrap().success());
    let whole = begin.elapsed();
    let mut tally = Tally::of("kill -9 of compile");
    for moment in 0..moments(100) {
        if moment % 2 == 0 {
            fs::remove_dir_all(&output).ok();
        }
        tally.fault(|| {
            let mut child = compile();
            thread::sleep(whole * share(moment) / 1000);
            child.kill().unwrap();
            child.wait().unwrap();
            if output.exists() {
                let entries = fs::read_dir(&output).unwrap().map(|entry| entry.unwrap());
                let text = |entry: fs::DirEntry| {
                    let name = entry.file_name().into_string().unwrap();
                    (name, fs::read_to_string(entry.path()).unwrap())
                };
                Bundle::read(entries.map(text).collect()).unwrap();
            }
        });
    }
    assert!(compile().wait().unwrap().success());
    assert!(output.join(MANIFEST).exists());
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2, "folders of the killed ones are left");
}

fn start(place: &Place<'_>, words: &[&str], number: usize) -> Child {
    place.command(words, number).spawn().unwrap()
}

fn ends_well(child: Child) {
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
}

#[test]
fn many_at_once_take_turns() {
    for variant in [Variant::Nft, Variant::Legacy] {
        on(variant, |env| {
            let place = Place::new(env);
            let mut tally = Tally::of(format!("several at once, {variant:?}"));
            tally.fault(|| {
                let verbs: [&[&str]; 3] =
                    [&["apply", "@"], &["drift", "--repair"], &["install", "@"]];
                let verbs = verbs.iter().cycle().take(9).enumerate();
                let children: Vec<Child> = verbs
                    .map(|(number, words)| start(&place, words, number % 2))
                    .collect();
                children.into_iter().for_each(ends_well);
                place.is_whole();
                place.settle(0);
                place.stands(0);
            });
            tally.fault(|| {
                let children = [
                    start(&place, &["apply", "@"], 1),
                    start(&place, &["uninstall"], 1),
                ];
                children.into_iter().for_each(ends_well);
                place.is_whole_or_nothing();
                place.settle(0);
                succeeds(&place, &["drift"], 0);
            });
        });
    }
}

/// Another program adds and removes rules of its own all the while.
#[test]
fn rules_that_others_make_meanwhile_are_never_lost() {
    for variant in [Variant::Nft, Variant::Legacy] {
        on(variant, |env| {
            let place = Place::new(env);
            let mut tally = Tally::of(format!("another program at the rules, {variant:?}"));
            let mut foreign = 0;
            for round in 1..=8 {
                tally.fault(|| {
                    let child = start(&place, &["apply", "@"], round % 2);
                    foreign = with_rules_meanwhile(env, child, foreign);
                    let forward =
                        env.chain(Family::V4, tidegate::netfilter::Table::Filter, "FORWARD");
                    let kept = forward
                        .iter()
                        .filter(|rule| rule.contains("foreign"))
                        .count();
                    assert_eq!(kept, foreign, "{forward:?}");
                    succeeds(&place, &["drift"], round % 2);
                });
            }
        });
    }
}

/// Adds rules one by one until the child has ended well, and returns how many there are now.
fn with_rules_meanwhile(env: &Env, mut child: Child, mut count: usize) -> usize {
    while child.try_wait().unwrap().is_none() {
        // An entry more, one fewer, one more: both ways are met.
        let line =
            format!("-t filter -A FORWARD -i eth7 -m comment --comment foreign{count} -j ACCEPT");
        env.iptables(Family::V4, &line);
        env.iptables(Family::V4, &line.replace("-A ", "-D "));
        env.iptables(Family::V4, &line);
        count += 1;
    }
    ends_well(child);
    count
}

#[test]
fn a_lock_that_is_kept_names_its_holder() {
    on(Variant::Nft, |env| {
        let bundle = crate::support::bundle::Sample::shop().bundle();
        write(&bundle, &env.root.path().join("0"));
        let _lock = env.host.lock().unwrap();
        let impatient = env.host.clone().waiting(Duration::ZERO);
        let error = deploy::apply(&impatient, &bundle, deploy::Options::default());
        let error = error.unwrap_err().to_string();
        let pid = std::process::id().to_string();
        assert!(error.contains(&format!("process {pid},")), "{error}");
    });
}
