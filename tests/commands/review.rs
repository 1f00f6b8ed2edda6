//! `ci/review.sh` and `action.yml`: what CI says about a change.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use serde_yaml::Value;

use super::{Desk, POLICY, text};
use crate::support::files::repository;

/// Tells whether what the script needs is here, and prints what is missing.
fn can_run() -> bool {
    let missing = ["bash", "git"]
        .into_iter()
        .find(|program| Command::new(program).arg("--version").output().is_err());
    if let Some(program) = missing {
        eprintln!("skipped: {program} is not installed");
    }
    missing.is_none()
}

fn git(desk: &Desk, arguments: &[&str]) {
    let names = [
        "AUTHOR_NAME",
        "AUTHOR_EMAIL",
        "COMMITTER_NAME",
        "COMMITTER_EMAIL",
    ];
    let output = Command::new("git")
        .args(arguments)
        .current_dir(desk.folder.path())
        .envs(names.map(|name| (format!("GIT_{name}"), "somebody")))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// Makes a repository whose two commits have two texts of one file.
fn repository_of(name: &str, before: &str, after: &str) -> Desk {
    let desk = Desk::new();
    git(&desk, &["init", "--quiet"]);
    for policy in [before, after] {
        desk.write(name, policy);
        desk.write("other.txt", policy);
        git(&desk, &["add", "."]);
        git(
            &desk,
            &["commit", "--quiet", "--allow-empty", "-m", "a change"],
        );
    }
    desk
}

fn review(desk: &Desk, policy: &str, more: &[(&str, &str)]) -> (Output, String) {
    let out = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .arg(repository().join("ci/review.sh"))
        .current_dir(desk.folder.path())
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("TIDEGATE", env!("CARGO_BIN_EXE_tidegate"))
        .env("TIDEGATE_POLICY", policy)
        .env("TIDEGATE_BASE", "HEAD~1")
        .env("TIDEGATE_OUT", out.path())
        .envs(more.iter().copied())
        .output()
        .unwrap();
    let sarif = fs::read_to_string(out.path().join("tidegate.sarif")).unwrap();
    let sarif: serde_json::Value = serde_json::from_str(&sarif).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let summary = fs::read_to_string(out.path().join("summary.md")).unwrap();
    (output, summary)
}

#[test]
fn a_change_is_told_and_nothing_else_is_touched() {
    if !can_run() {
        return;
    }
    let after = POLICY.replace("as 8080 from office", "as 8080 from any, office");
    let desk = repository_of("net/shop.tide", POLICY, &after);
    let before = desk.files();
    desk.write("github/output", "");
    let outputs = desk.path("github/output");
    let (output, summary) = review(
        &desk,
        "net/shop.tide",
        &[("GITHUB_OUTPUT", outputs.to_str().unwrap())],
    );
    assert!(output.status.success(), "{output:?}");
    insta::assert_snapshot!(summary, @r"
    ### tidegate: net/shop.tide

    What check says

        warning[T0604]: `office` adds nothing to `any`
          --> net/shop.tide:10:35
           |
        10 |   expose 80/tcp as 8080 from any, office
           |                                   ^^^^^^ `any` beside it is everybody
           |
           = help: take `any` out if only the others are meant, else the others
        
        net/shop.tide: no mistakes, 1 warning

    What this change opens and closes

    | change | from | to | services | was | is |
    | --- | --- | --- | --- | --- | --- |
    | opens (IPv6) | any | host | 8080/tcp | dropped by shop.tide:10 | passes by shop.tide:10 |
    | opens (IPv4) | shop | host | 8080/tcp | dropped by shop.tide:10 | passes by shop.tide:10 |
    | opens (IPv4) | outside except office | host | 8080/tcp | dropped by shop.tide:5 | passes to web:80 by shop.tide:10 |

    opens: some connections from addresses that belong to another network
    ");
    assert!(
        fs::read_to_string(&outputs)
            .unwrap()
            .contains("changed=true\n")
    );
    fs::remove_file(&outputs).unwrap();
    assert_eq!(desk.files(), before);
}

#[test]
fn a_policy_that_means_the_same_a_new_one_and_one_with_mistakes() {
    if !can_run() {
        return;
    }
    let same = POLICY.replace("203.0.113.0/24", "203.0.113.0/25, 203.0.113.128/25");
    let desk = repository_of("shop.tide", POLICY, &same);
    let (output, summary) = review(&desk, "shop.tide", &[]);
    assert!(output.status.success(), "{output:?}");
    insta::assert_snapshot!(summary, @r"
    ### tidegate: shop.tide

    No mistakes, no warnings.

    The same connections pass as before.
    ");
    let (output, summary) = review(&desk, "shop.tide", &[("TIDEGATE_BASE", "0000")]);
    assert!(output.status.success(), "{output:?}");
    assert!(!summary.contains("before"), "{summary}");
    desk.write("new_one.tide", POLICY);
    let (output, summary) = review(&desk, "new_one.tide", &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(
        summary.starts_with("### tidegate: new\\_one.tide\n"),
        "{summary}"
    );
    assert!(summary.contains("The policy is new."), "{summary}");
    assert!(summary.contains("| office |"), "{summary}");
    desk.write("shop.tide", POLICY.replace("from office", "from offices"));
    let (output, summary) = review(&desk, "shop.tide", &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(summary.contains("    error[T0201]"), "{summary}");
    assert!(text(&output.stderr).contains("error[T0201]"), "{output:?}");
}

#[test]
fn what_was_a_mistake_before_is_said_and_what_is_passes_shown() {
    if !can_run() {
        return;
    }
    let broken = POLICY.replace("from office", "from offices");
    let desk = repository_of("shop.tide", &broken, POLICY);
    let (output, summary) = review(&desk, "shop.tide", &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(summary.contains("It cannot be compared"), "{summary}");
    assert!(summary.contains("Who reaches whom"), "{summary}");
}

/// A policy of some hosts, each with a network of its own.
fn fleet(hosts: &[&str], more: &str) -> String {
    let host = |(name, number): (&&str, u8)| {
        format!(
            "host {name} {{\n  uplink eth0\n}}\nnetwork n{name} on {name} {{\n  bridge br-{name}\n  \
             subnet 172.{number}.0.0/16\n}}\n"
        )
    };
    let all: String = hosts.iter().zip(20..).map(host).collect();
    format!("trust office {{ 203.0.113.0/24 }}\n{all}{more}")
}

#[test]
fn all_hosts_are_reviewed_and_those_that_change_alike_share_a_table() {
    if !can_run() {
        return;
    }
    let shut = "deny office -> host : 25/tcp\n";
    let now = fleet(&["a", "b", "d"], shut);
    let desk = repository_of("p.tide", &fleet(&["a", "b", "c"], ""), &now);
    let (output, summary) = review(&desk, "p.tide", &[]);
    assert!(output.status.success(), "{output:?}");
    let headings = |summary: &str| {
        let lines = summary.lines().filter(|line| !line.starts_with(['|', ' ']));
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(headings(&summary), @"
    ### tidegate: p.tide

    <details><summary>What check says</summary>


    </details>

    What this change opens and closes on 2 hosts (a, b)


    New: d.

    Who reaches whom on d


    Gone: c; what it let pass:

    Who reaches whom on c

    ");
    assert_eq!(
        summary
            .matches("| closes (IPv4) | office | host | 25/tcp |")
            .count(),
        1
    );
    let (output, summary) = review(&desk, "p.tide", &[("TIDEGATE_HOSTS", "a c")]);
    assert!(output.status.success(), "{output:?}");
    assert!(summary.contains("Not compared: b, d."), "{summary}");
    assert!(summary.contains("closes on a\n"), "{summary}");
    assert!(summary.contains("Gone: c;"), "{summary}");
    let (output, summary) = review(&desk, "p.tide", &[("TIDEGATE_HOSTS", "zz")]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(summary.contains("There is no host zz."), "{summary}");
    assert!(text(&output.stderr).contains("no host zz"), "{output:?}");
}

#[test]
fn inputs_are_data_and_a_long_summary_fits_into_a_comment() {
    if !can_run() {
        return;
    }
    let desk = repository_of("shop.tide", POLICY, POLICY);
    let name = "$(touch made)`touch made`.tide";
    // Each line is a mistake.
    let mistakes = (0..700).map(|at| format!("allow nobody{at} -> shop : 22/tcp\n"));
    let mistakes = mistakes.collect::<Vec<_>>().concat();
    desk.write(name, format!("{POLICY}{mistakes}"));
    let (output, summary) = review(&desk, name, &[("TIDEGATE_DENY", "T0601 T0602")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!desk.path("made").exists());
    assert!(summary.chars().count() < 65_536, "{}", summary.len());
    assert!(summary.contains("<details>"), "{summary}");
}

fn action() -> Value {
    let action = fs::read_to_string(repository().join("action.yml")).unwrap();
    serde_yaml::from_str(&action).unwrap()
}

#[test]
fn the_actions_inputs_are_documented_and_used_and_never_part_of_a_script() {
    let action = action();
    let whole = fs::read_to_string(repository().join("action.yml")).unwrap();
    let page = fs::read_to_string(repository().join("docs/ci.md")).unwrap();
    let inputs = action["inputs"].as_mapping().unwrap();
    let mut names = BTreeSet::new();
    for (name, input) in inputs {
        let name = name.as_str().unwrap();
        assert!(input["description"].as_str().is_some(), "{name}");
        let used = [
            format!("${{{{ inputs.{name} }}}}"),
            format!("inputs.{name} =="),
        ];
        assert!(
            used.iter().any(|used| whole.contains(used)),
            "{name} is not used"
        );
        assert!(
            page.contains(&format!("| `{name}` |")),
            "docs/ci.md lacks {name}"
        );
        names.insert(name);
    }
    assert!(names.len() >= 5);
    assert_eq!(action["runs"]["using"], "composite");
    let script = fs::read_to_string(repository().join("ci/review.sh")).unwrap();
    for step in action["runs"]["steps"].as_sequence().unwrap() {
        let run = step["run"].as_str().unwrap_or("");
        assert!(!run.contains("${{"), "{run}");
        assert!(run.is_empty() || step["shell"] == "bash");
        for (variable, _) in step["env"].as_mapping().into_iter().flatten() {
            let variable = format!("${{{}:", variable.as_str().unwrap());
            let read = script.contains(&variable) || run.contains("$PROGRAM");
            assert!(read, "{variable}");
        }
    }
}

#[test]
fn the_script_is_clean() {
    let script = repository().join("ci/review.sh");
    match Command::new("shellcheck").arg("-x").arg(&script).output() {
        Ok(output) => assert!(output.status.success(), "{}", text(&output.stdout)),
        Err(_) => eprintln!("skipped: shellcheck is not installed"),
    }
    let lines = fs::read_to_string(script).unwrap();
    assert!(lines.contains("\nset -euo pipefail\n"));
}
