//! What codes mean.

use super::{Desk, text};

#[test]
fn a_code_is_explained_in_whatever_case() {
    let desk = Desk::new();
    for name in ["T0350", "t0350"] {
        let output = desk.run(&["explain", name]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = text(&output.stdout);
        assert!(
            said.starts_with("# T0350: Forwarding is on") && said.contains("--allow T0350"),
            "{said}"
        );
    }
}

#[test]
fn without_a_code_all_are_listed_in_order() {
    let said = text(&Desk::new().run(&["explain"]).stdout);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.is_sorted() && lines.len() > 100, "{said}");
    assert_eq!(lines[0], "T0101  A policy file is larger than 1 MiB.");
}

#[test]
fn an_unknown_code_is_wrong_use() {
    let desk = Desk::new();
    for (name, help) in [
        ("T350", "did you mean `T0350`?"),
        ("firewall", "`tidegate explain` lists all codes"),
    ] {
        let output = desk.run(&["explain", name]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = text(&output.stderr);
        assert_eq!(
            said,
            format!("error: there is no code `{name}`\nhelp: {help}\n")
        );
    }
}
