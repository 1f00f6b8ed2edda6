//! Too little memory, and a clock that goes backwards.

use tidegate::host::Variant;

use super::place::Place;
use super::tally::{Tally, is_long_run};
use crate::support::env::on;

/// Less and less memory: it is done, or an error, or the program aborts; never half of it.
#[test]
fn too_little_memory_leaves_whole_tables() {
    on(Variant::Nft, |env| {
        let place = Place::new(env);
        let step = if is_long_run() { 100 } else { 1000 };
        let mut tally = Tally::of("address space limited, RLIMIT_AS");
        let mut now = 0;
        let mut ends = std::collections::BTreeMap::<String, u32>::new();
        for kilobytes in (4_000..40_000).step_by(step).rev() {
            tally.fault(|| {
                let limit = format!("ulimit -v {kilobytes}; exec \"$@\"");
                let output = place
                    .below(&["sh", "-c", &limit, "sh"], &["apply", "@"], 1 - now)
                    .output();
                let output = output.unwrap();
                let text = String::from_utf8_lossy(&output.stderr).into_owned();
                drop(tidegate::host::Host::lock(&env.host).unwrap());
                match output.status.code() {
                    Some(0) => place.stands(1 - now),
                    Some(3) => {
                        assert!(text.starts_with("error[T05"), "{text}");
                        place.stands(now);
                    }
                    // Going back had no memory either, which it says; the linker; the allocator's abort.
                    Some(4 | 127) | None => place.is_whole(),
                    other => panic!("{other:?}: {text}"),
                }
                *ends
                    .entry(format!("{:?}", output.status.code()))
                    .or_default() += 1;
                place.settle(1 - now);
                place.stands(1 - now);
            });
            now = 1 - now;
        }
        tally.note(&format!("by exit status {ends:?}"));
    });
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
            "+0 x1000",
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
