//! `fmt`, as a user runs it.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use super::{Desk, text};

const BAD: &str = "trust  office {203.0.113.0/24}\r\nhost {\n\n  uplink eth0 # out\n}";
const GOOD: &str = "trust office { 203.0.113.0/24 }\nhost {\n  uplink eth0  # out\n}\n";
const WRONG: &str = "trust office { 203.0.113.0/24\nlnk a -> b\nhost {\n  uplnk eth0\n}\n";

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("bad.tide", BAD);
    desk.write("good.tide", GOOD);
    desk.write("sub/bad.tide", BAD);
    desk.write("sub/notes.txt", BAD);
    desk
}

#[test]
fn files_and_folders_are_laid_out_and_named() {
    let desk = desk();
    fs::set_permissions(desk.path("bad.tide"), Permissions::from_mode(0o640)).unwrap();
    let elsewhere = self::desk();
    symlink(elsewhere.path("sub"), desk.path("sub/elsewhere")).unwrap();
    let output = desk.run(&["fmt", "."]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), "./bad.tide\n./sub/bad.tide\n");
    assert_eq!(text(&output.stderr), "");
    let mode = fs::metadata(desk.path("bad.tide")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o7777, 0o640);
    let files = desk.files();
    for (path, bytes) in &files {
        let kept = path.ends_with("notes.txt") || path.starts_with(desk.path("sub/elsewhere"));
        assert_eq!(text(bytes), if kept { BAD } else { GOOD }, "{path:?}");
    }
    assert_eq!(files.len(), 6, "something is left behind");
    let again = desk.run(&["fmt", "bad.tide", "sub", "good.tide"]);
    assert_eq!(
        (again.status.code(), text(&again.stdout)),
        (Some(0), String::new())
    );
}

#[test]
fn check_and_diff_write_nothing_and_answer_no() {
    let desk = desk();
    let before = desk.files();
    let check = desk.run(&["fmt", "--check", "good.tide", "sub", "bad.tide", "bad.tide"]);
    assert_eq!(check.status.code(), Some(1));
    assert_eq!(text(&check.stdout), "bad.tide\nsub/bad.tide\n");
    let diff = desk.run(&["fmt", "--diff", "bad.tide"]);
    assert_eq!(diff.status.code(), Some(1));
    let said = text(&diff.stdout);
    assert!(
        said.starts_with("--- bad.tide\n+++ bad.tide\n@@ "),
        "{said}"
    );
    assert!(
        said.contains("-trust  office {203.0.113.0/24}\\u000d\n+trust office"),
        "{said}"
    );
    assert!(said.contains("\\ No newline at end of file\n"), "{said}");
    assert_eq!(desk.files(), before);
    for argument in ["--check", "--diff"] {
        let fine = desk.run(&["fmt", argument, "good.tide"]);
        assert_eq!(
            (fine.status.code(), text(&fine.stdout)),
            (Some(0), String::new())
        );
    }
}

#[test]
fn a_file_with_mistakes_stays_and_the_others_do_not() {
    let desk = desk();
    desk.write("a.tide", WRONG);
    let output = desk.run(&["fmt", "a.tide", "bad.tide"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "bad.tide\n");
    let said = text(&output.stderr);
    for code in ["T0113", "T0110", "T0111"] {
        assert!(said.contains(&format!("error[{code}]")), "{code}: {said}");
    }
    assert!(
        said.ends_with("error: a.tide has 3 mistakes; it stays as it is\n"),
        "{said}"
    );
    let kept = |name: &str| fs::read_to_string(desk.path(name)).unwrap();
    assert_eq!(
        (kept("a.tide").as_str(), kept("bad.tide").as_str()),
        (WRONG, GOOD)
    );
}

#[test]
fn one_that_cannot_be_read_keeps_all_from_being_written() {
    let desk = desk();
    let before = desk.files();
    let output = desk.run(&["fmt", "bad.tide", "none.tide"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(desk.files(), before);
}

#[test]
fn standard_input_goes_to_standard_output() {
    let desk = Desk::new();
    let run = |arguments: &[&str], input: &str| {
        let mut child = desk
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may have refused before it reads.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let output = run(&["fmt", "-"], BAD);
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str()),
        (Some(0), GOOD)
    );
    let output = run(&["fmt", "--check", "-"], BAD);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "standard input\n");
    let output = run(&["fmt", "-"], WRONG);
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str()),
        (Some(1), "")
    );
    assert!(
        text(&output.stderr).contains("standard input:1:"),
        "{output:?}"
    );
    let output = run(&["fmt", "-", "x.tide"], BAD);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
