//! Levels of warnings, and what `check` writes for other programs.

use super::{Desk, POLICY, text};

/// A policy with one warning, T0350.
fn desk() -> Desk {
    let desk = Desk::new();
    let open = POLICY.replace("uplink eth0", "uplink eth0\n  forwarding on");
    desk.write("shop.tide", open);
    desk
}

#[test]
fn a_warning_may_be_hidden_or_taken_for_a_mistake() {
    let desk = desk();
    let check = |arguments: &[&str]| {
        let output = desk.run(&[&["check", "shop.tide"], arguments].concat());
        (output.status.code(), text(&output.stderr))
    };
    let (status, said) = check(&[]);
    assert!(
        status == Some(0) && said.starts_with("warning[T0350]"),
        "{said}"
    );
    assert_eq!(check(&["--allow", "t0350"]), (Some(0), String::new()));
    for arguments in [["--deny", "T0350"], ["--deny", "warnings"]] {
        let (status, said) = check(&arguments);
        assert!(
            status == Some(1) && said.starts_with("error[T0350]"),
            "{said}"
        );
        assert!(said.ends_with("error: shop.tide has 1 mistake\n"), "{said}");
    }
    let (status, _) = check(&["--deny", "warnings", "--warn", "T0350"]);
    assert_eq!(status, Some(0));
}

#[test]
fn what_is_denied_is_not_compiled() {
    let desk = desk();
    let compile = ["compile", "shop.tide", "-o", "out", "--deny"];
    let output = desk.run(&[&compile[..], &["warnings"]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).ends_with("nothing is written\n"));
    assert!(!desk.path("out").exists());
    let output = desk.run(&[&compile[..], &["T0353"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn only_warnings_have_levels() {
    let desk = desk();
    let said = |arguments: &[&str]| {
        let output = desk.run(&[&["check", "shop.tide"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        text(&output.stderr)
    };
    insta::assert_snapshot!(said(&["--allow", "T0203"]), @r"
    error: T0203 is a mistake, and its level cannot be set
    help: only warnings have levels; `tidegate explain T0203` says how to mend it
    ");
    insta::assert_snapshot!(said(&["--deny", "T350"]), @r"
    error: there is no code `T350`
    help: did you mean `T0350`?
    ");
    insta::assert_snapshot!(said(&["--deny", "T0350", "--allow", "T0350"]), @r"
    error: T0350 has two levels
    help: name it after one of `--deny`, `--warn` and `--allow`
    ");
}

#[test]
fn other_programs_are_told_the_same() {
    let desk = desk();
    let check = |arguments: &[&str]| {
        let output = desk.run(&[&["check", "./shop.tide", "--format"], arguments].concat());
        (output.status.code(), text(&output.stdout))
    };
    let (status, said) = check(&["github", "--deny", "warnings"]);
    assert_eq!(status, Some(1));
    assert!(
        said.starts_with("::error file=./shop.tide,line=3,col=3,"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1);
    let (status, said) = check(&["sarif"]);
    assert_eq!(status, Some(0));
    let log: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let result = &log["runs"][0]["results"][0];
    assert_eq!(
        (&result["ruleId"], &result["level"]),
        (&"T0350".into(), &"warning".into())
    );
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "./shop.tide");
    assert_eq!(place["region"]["startLine"], 3);
    assert_eq!(
        check(&["sarif", "--live"]).0,
        Some(2),
        "what `--live` finds has no place"
    );
}

/// Other commands put a policy in force or look at it; they would say the same at every start.
#[test]
fn lints_are_told_where_a_policy_is_checked_and_compiled() {
    let desk = Desk::new();
    desk.write(
        "shop.tide",
        format!("{POLICY}trust spare {{ 192.0.2.1 }}\n"),
    );
    let told = |arguments: &[&str]| text(&desk.run(arguments).stderr).contains("T0601");
    assert!(told(&["check", "shop.tide"]));
    assert!(told(&["compile", "shop.tide", "-o", "out"]));
    let trace = ["--from", "office", "--to", "web", "--port", "80/tcp"];
    assert!(!told(&[&["trace", "shop.tide"], &trace[..]].concat()));
    let denied = desk.run(&["compile", "shop.tide", "-o", "new", "--deny", "T0601"]);
    assert_eq!(denied.status.code(), Some(1));
    assert!(!desk.path("new").exists());
}
