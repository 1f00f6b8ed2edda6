//! Too little memory, and a clock that goes backwards.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;
use tidegate::host::Variant;

use super::place::Place;
use super::tally::{Tally, is_long_run};
use crate::support::env::on;

/// Less and less memory: it is done, or an error, or the program aborts; never half of it, and it ends.
#[test]
fn too_little_memory_leaves_whole_tables() {
    on(Variant::Nft, |env| {
        let place = Place::new(env);
        let step = if is_long_run() { 100 } else { 1000 };
        let mut memory = Memory {
            place: &place,
            tally: Tally::of("address space limited, RLIMIT_AS"),
            ends: BTreeMap::new(),
            now: 0,
        };
        let mut least = 40_000;
        for kilobytes in (4_000..40_000).step_by(step).rev() {
            if memory.apply_within(kilobytes) == Some(0) {
                least = kilobytes;
            }
        }
        // Just below what it needs, each page more lets it come a little further.
        let step = if is_long_run() { 4 } else { 12 };
        for kilobytes in (least - 1_000..least).step_by(step) {
            memory.apply_within(kilobytes);
        }
        let ends = format!("by exit status {:?}", memory.ends);
        memory.tally.note(&ends);
    });
}

struct Memory<'p, 'e> {
    place: &'p Place<'e>,
    tally: Tally,
    ends: BTreeMap<String, u32>,
    now: usize,
}

impl Memory<'_, '_> {
    /// Applies the other bundle with so little memory, and then without a limit.
    fn apply_within(&mut self, kilobytes: usize) -> Option<i32> {
        let (place, now) = (self.place, self.now);
        let limit = format!("ulimit -v {kilobytes}; exec \"$@\"");
        let outer = ["timeout", "-s", "KILL", "300", "sh", "-c", &limit, "sh"];
        let mut status = None;
        self.tally.fault(|| {
            let mut command = place.below(&outer, &["apply", "@"], 1 - now);
            // Backtraces take memory, too.
            let output = command.env("RUST_BACKTRACE", "1").output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            drop(tidegate::host::Host::lock(&place.env.host).unwrap());
            // timeout(1) ends as what it ran did, by the same signal if so; its own kills both.
            let signal = output.status.signal();
            let hangs = signal == Some(Signal::SIGKILL as i32);
            assert!(!hangs, "with {kilobytes} KiB it does not end: {text}");
            status = output.status.code();
            match status {
                Some(0) => place.stands(1 - now),
                Some(3) => {
                    assert!(text.starts_with("error[T05"), "{text}");
                    place.stands(now);
                }
                // Going back had no memory either, which it says; the linker; the allocator's abort.
                Some(4 | 127) | None => place.is_whole(),
                other => panic!("{other:?} with {kilobytes} KiB: {text}"),
            }
            place.settle(1 - now);
            place.stands(1 - now);
        });
        *self.ends.entry(format!("{status:?}")).or_default() += 1;
        self.now = 1 - now;
        status
    }
}

/// Nothing is decided by the time of day: files that are dated in the future are read like others.
#[test]
fn a_clock_that_goes_backwards_changes_nothing() {
    on(Variant::Nft, |env| {
        let place = Place::new(env);
        let mut tally = Tally::of("clock going backwards");
        let mut now = 0;
        for start in [
            "2001-01-01 00:00:00",
            "@1970-01-02 00:00:00",
            "2037-12-31 00:00:00",
            "+0 x-1000",
            // What may take two minutes then has two seconds.
            "+0 x60",
        ] {
            for words in [
                &["apply", "@"][..],
                &["apply", "--boot"],
                &["drift", "--repair"],
            ] {
                tally.fault(|| {
                    if words[1] != "@" {
                        place.install(1 - now);
                    }
                    let outer = ["faketime", "-f", start];
                    let output = place.below(&outer, words, 1 - now).output().unwrap();
                    assert!(output.status.success(), "{start}: {output:?}");
                    place.stands(1 - now);
                });
                now = 1 - now;
            }
        }
    });
}
