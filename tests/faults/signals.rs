//! Ctrl-C and its like in the middle of a change, and outputs that lead nowhere.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tidegate::host::Variant;

use super::place::Place;
use super::tally::Tally;
use crate::support::env::on;

/// What a terminal, a shell or systemd sends; to the whole process group, as at Ctrl-C.
const ASKING: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

/// Whoever asks a change to end gets all of it or nothing.
#[test]
fn a_change_that_is_asked_to_end_is_whole() {
    on(Variant::Nft, |env| {
        let place = Place::new(env);
        let begin = Instant::now();
        assert!(place.run(&["apply", "@"], 1).status.success());
        let whole = begin.elapsed();
        let mut now = 1;
        let mut tally = Tally::of("SIGINT, SIGTERM, SIGHUP and SIGQUIT to the whole group");
        for moment in 0..40_u32 {
            tally.fault(|| {
                let mut command = place.command(&["apply", "@"], 1 - now);
                let child = command.process_group(0).spawn().unwrap();
                thread::sleep(whole * (moment * 7919 % 41) / 40);
                let group = -i32::try_from(child.id()).unwrap();
                kill(Pid::from_raw(group), ASKING[moment as usize % 4]).unwrap();
                drop(child.wait_with_output().unwrap());
                let done = env
                    .everything()
                    .join("\n")
                    .contains(["5432", "9187"][1 - now]);
                place.stands(if done { 1 - now } else { now });
                place.settle(1 - now);
            });
            now = 1 - now;
        }
    });
}

#[test]
fn an_output_that_leads_nowhere_does_not_undo_a_change() {
    on(Variant::Nft, |env| {
        let place = Place::new(env);
        let mut tally = Tally::of("standard output full or closed");
        let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
        tally.fault(|| {
            let output = place
                .command(&["apply", "@"], 1)
                .stdout(full())
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(0));
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(
                text,
                "warning: cannot write to standard output: No space left on device\n\
                 note: what was asked for is done\n"
            );
            place.stands(1);
        });
        tally.fault(|| {
            let mut command = place.command(&["drift"], 1);
            let output = command.stdout(full()).output().unwrap();
            assert_eq!(output.status.code(), Some(3));
            let text = String::from_utf8(output.stderr).unwrap();
            assert!(
                text.starts_with("error: cannot write to standard output"),
                "{text}"
            );
        });
        tally.fault(|| {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = place.command(&["apply", "@"], 0);
            let status = command.stdout(writer).stderr(full()).status().unwrap();
            assert_eq!(status.code(), Some(0));
            place.stands(0);
        });
        tally.fault(|| {
            let nothing = File::open("/dev/null").unwrap();
            let mut command = place.command(&["apply", "@"], 1);
            command.stdout(Stdio::from(nothing)).stderr(Stdio::null());
            assert_eq!(command.status().unwrap().code(), Some(0));
            place.stands(1);
        });
    });
}
