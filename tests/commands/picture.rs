//! `graph` and `report`: their files, and what they leave alone. What a page does in a browser is in
//! `tests/browser`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{Desk, POLICY, text};
use crate::support::files::repository;

/// Compares a text with a file of the repository, or writes it there with `UPDATE=1`.
#[track_caller]
fn is_kept(name: &str, text: &str) {
    let path = repository().join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{name} is old: run this test with UPDATE=1");
}

/// Returns the policy that the README begins with.
fn of_the_readme() -> String {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let policy = readme.split("```\n").nth(1).unwrap();
    assert!(policy.starts_with("# shop.tide\n"), "{policy}");
    policy.to_owned()
}

#[test]
fn the_picture_of_the_readme_is_of_its_policy() {
    let desk = Desk::new();
    desk.write("shop.tide", of_the_readme());
    let output = desk.run(&["graph", "shop.tide"]);
    assert!(output.status.success(), "{output:?}");
    is_kept("docs/shop.svg", &text(&output.stdout));
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(
        readme.contains("(docs/shop.svg)"),
        "the README does not show it"
    );
}

/// Takes the version of the bundle out of a page: it changes with every rule, which other files are for.
fn without_version(page: &str) -> String {
    let mark = "<dt>version</dt><dd>";
    match page.split_once(mark) {
        Some((before, after)) => format!("{before}{mark}{}", after.get(12..).unwrap()),
        None => page.to_owned(),
    }
}

#[test]
fn the_files_of_an_example_are_kept_and_depend_on_the_policy_alone() {
    let examples = repository().join("examples");
    let policy = examples.join("02-links.tide");
    let before = examples.join("01-web-host.tide");
    let (policy, before) = (policy.to_str().unwrap(), before.to_str().unwrap());
    let files: [(&str, &[&str]); 4] = [
        ("graph.svg", &["graph", policy]),
        ("graph.dot", &["graph", policy, "--format", "dot"]),
        ("graph.mmd", &["graph", policy, "--format", "mermaid"]),
        ("report.html", &["report", policy, "--against", before]),
    ];
    let copy = Desk::new();
    for name in ["01-web-host.tide", "02-links.tide"] {
        copy.write(name, fs::read(examples.join(name)).unwrap());
    }
    for (name, arguments) in files {
        let output = copy.run(arguments);
        assert!(output.status.success(), "{output:?}");
        is_kept(
            &format!("tests/commands/picture/{name}"),
            &without_version(&text(&output.stdout)),
        );
        // From another folder, by another path, into a file.
        let short = |it: &&str| {
            Path::new(it)
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        let mut arguments: Vec<String> = arguments.iter().map(short).collect();
        arguments.extend(["-o".to_owned(), name.to_owned()]);
        let written = copy.run(&arguments);
        assert_eq!(text(&written.stdout), format!("{name} is written\n"));
        assert_eq!(fs::read(copy.path(name)).unwrap(), output.stdout, "{name}");
    }
}

#[test]
fn graphviz_takes_the_pictures() {
    let desk = Desk::with_policy();
    let everything = repository().join("tests/cases/06-everything/policy.tide");
    for policy in [&desk.path("shop.tide"), &everything] {
        let policy = policy.to_str().unwrap();
        let written = desk.run(&["graph", policy, "--format", "dot", "-o", "picture.dot"]);
        assert!(written.status.success(), "{written:?}");
        let dot = std::process::Command::new("dot");
        let Some(output) = drawn(dot, &desk.path("picture.dot")) else {
            return;
        };
        assert!(output.status.success(), "{output:?}");
        assert_eq!(text(&output.stderr), "");
    }
}

fn drawn(mut dot: std::process::Command, picture: &Path) -> Option<std::process::Output> {
    let output = dot.arg("-Tsvg").arg(picture).output().ok();
    if output.is_none() {
        assert!(
            std::env::var_os(crate::support::lab::REQUIRED).is_none(),
            "graphviz is not installed: apt-get install graphviz"
        );
        eprintln!("skipped: graphviz is not installed");
    }
    output
}

#[test]
fn only_what_tidegate_drew_is_replaced() {
    let desk = Desk::with_policy();
    let policy = POLICY.replace("203.0.113.0/24", "file \"office.txt\"");
    desk.write("shop.tide", &policy);
    desk.write("office.txt", "203.0.113.0/24\n");
    desk.write("notes.html", "<!DOCTYPE html>\n<p>Mine.\n");
    desk.write("bytes.svg", [0xff, 0xfe]);
    fs::create_dir(desk.path("folder")).unwrap();
    std::os::unix::fs::symlink("shop.tide", desk.path("link.svg")).unwrap();
    let before = desk.files();
    for command in ["graph", "report"] {
        for name in [
            "shop.tide",
            "office.txt",
            "notes.html",
            "bytes.svg",
            "folder",
            "link.svg",
        ] {
            let output = desk.run(&[command, "shop.tide", "-o", name]);
            assert_eq!(output.status.code(), Some(2), "{name}: {output:?}");
            assert!(
                text(&output.stderr).ends_with(&format!(
                    "error: {name} is there, and tidegate did not write it\n\
                     help: name a new file; only an older picture or page is replaced\n"
                )),
                "{output:?}"
            );
            assert_eq!(desk.files(), before);
        }
    }
    desk.write("empty", "");
    for format in ["svg", "dot", "mermaid"] {
        let output = desk.run(&["graph", "shop.tide", "--format", format, "-o", "empty"]);
        assert!(output.status.success(), "{output:?}");
    }
    for command in ["report", "graph"] {
        let output = desk.run(&[command, "shop.tide", "-o", "empty"]);
        assert!(output.status.success(), "{output:?}");
    }
    assert!(
        fs::read_to_string(desk.path("empty"))
            .unwrap()
            .starts_with("<svg ")
    );
}

#[test]
fn a_crowd_is_drawn_by_network_and_says_what_is_left_out() {
    let desk = Desk::new();
    let mut policy =
        "host {\n  uplink eth0\n}\nnetwork n {\n  bridge br-n\n  subnet 10.0.0.0/16\n}\n"
            .to_owned();
    for number in 0..220 {
        let (high, low) = (number / 200, number % 200 + 10);
        let _ = writeln!(
            policy,
            "container c{number} on n at 10.0.{high}.{low} {{ expose 80/tcp as {} from any }}",
            8000 + number
        );
    }
    desk.write("crowd.tide", policy);
    let output = desk.run(&["graph", "crowd.tide", "--format", "dot"]);
    let dot = text(&output.stdout);
    assert!(
        dot.contains("These are 220 containers: each network stands for its own."),
        "{dot}"
    );
    let edges = dot.lines().filter(|line| line.contains(" -> ")).count();
    assert_eq!(edges, 200);
    assert!(dot.contains("Too much for a picture: "), "{dot}");
    let page = text(&desk.run(&["report", "crowd.tide"]).stdout);
    assert!(page.contains("What is not here is closed."));
    for number in 0..220 {
        assert!(
            page.contains(&format!(
                "<span class=\"name\">c{number} by the host</span>"
            )),
            "c{number}"
        );
    }
}
