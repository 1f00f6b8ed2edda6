//! Completions and manual pages, of every command.

use std::process::Command;

use super::Desk;

const VERBS: [&str; 25] = [
    "apply",
    "check",
    "compile",
    "completions",
    "confirm",
    "diff",
    "doctor",
    "drift",
    "explain",
    "fmt",
    "graph",
    "help",
    "import",
    "install",
    "inventory",
    "lsp",
    "manual",
    "matrix",
    "plan",
    "report",
    "rollback",
    "status",
    "trace",
    "uninstall",
    "watch",
];

#[test]
fn every_shell_completes_every_command() {
    let desk = Desk::new();
    for shell in ["bash", "fish", "zsh"] {
        let output = desk.run(&["completions", shell]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for verb in VERBS {
            assert!(text.contains(verb), "{shell} does not complete {verb}");
        }
    }
}

#[test]
fn every_command_has_a_page() {
    let desk = Desk::new();
    let output = desk.run(&["manual", "."]);
    assert!(output.status.success(), "{output:?}");
    let names = desk.files().len();
    // One for all and one of the language, and none for `help`.
    assert_eq!(names, VERBS.len() + 1);
    for verb in VERBS.iter().filter(|verb| **verb != "help") {
        let page = std::fs::read_to_string(desk.path(&format!("tidegate-{verb}.8"))).unwrap();
        assert!(page.contains(&format!(".TH tidegate-{verb} 8")), "{page}");
        assert!(page.contains(".SH OPTIONS"), "{page}");
    }
    let missing = desk.run(&["manual", "nowhere"]);
    assert_eq!(missing.status.code(), Some(3));
}

/// What is in the language's page is there, and the formatter has nothing to say.
#[test]
fn the_language_has_a_page_that_reads_well() {
    let desk = Desk::new();
    desk.run(&["manual", "."]);
    let page = std::fs::read_to_string(desk.path("tide.5")).unwrap();
    for said in [
        ".TH tide 5",
        ".SH NAME\ntide \\- ",
        ".SH DESCRIPTION\n",
        "\\fBantispoof on|off\\fR",
    ] {
        assert!(page.contains(said), "{said} is missing from {page}");
    }
    let Ok(output) = Command::new("groff")
        .args(["-man", "-ww", "-Tutf8", "-z"])
        .arg(desk.path("tide.5"))
        .output()
    else {
        eprintln!("skipped: groff is not installed");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
