//! The pages of codes: each is there, and its examples are what it says.

use std::fs;

use tidegate::compile::{Compiled, compile};
use tidegate::diag::code::{self, Entry};
use tidegate::diag::{Code, Severity};

use crate::support::files::{Files, repository};

/// Says how a page's text is not as it must be.
fn flaw(entry: &Entry) -> Option<String> {
    let (code, page) = (entry.code, entry.page);
    let levels = format!(
        "`check` and `compile` take `--deny {code}`, `--warn {code}` and `--allow {code}`.\n"
    );
    let lines = page.lines().count();
    let why = if !page.starts_with(&format!("# {code}: {}\n\n", entry.meaning)) {
        "has another title"
    } else if page.ends_with(&levels) != (entry.severity == Severity::Warning) {
        "says its level wrongly"
    } else if !(8..=36).contains(&lines) {
        "is too short or too long"
    } else if examples(page).len() != 2 || !page.contains("\nMended:\n\n```") {
        "has no two examples"
    } else if page.lines().any(|line| line.chars().count() > 120) {
        "has long lines"
    } else {
        return None;
    };
    Some(format!("{code} {why}"))
}

/// Returns the blocks of a page, each with the word that says what is in it.
fn examples(page: &str) -> Vec<(&str, &str)> {
    let blocks = page.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.split_once('\n')).collect()
}

#[test]
fn every_code_has_a_page_and_no_page_is_of_another() {
    let flaws: Vec<String> = code::ALL.iter().filter_map(flaw).collect();
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
    let pages = fs::read_dir(repository().join("docs/codes")).expect("pages");
    for page in pages.map(|entry| entry.expect("a page").file_name()) {
        let name = page.to_string_lossy();
        let code = name.strip_suffix(".md").and_then(code::find);
        assert!(code.is_some(), "{name} is of no code");
    }
}

#[test]
fn examples_have_the_mistake_and_the_mended_ones_do_not() {
    let wrong: Vec<String> = code::ALL.iter().flat_map(mistold).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A message that no test brings about may say anything. A policy on a code's page does, since
/// [`examples_have_the_mistake_and_the_mended_ones_do_not`] compiles it.
#[test]
fn every_code_is_brought_about_by_a_test() {
    let tests = tests();
    let missing: Vec<Code> = code::ALL
        .iter()
        .filter(|entry| examples(entry.page).first().is_none_or(|it| it.0 != "tide"))
        .map(|entry| entry.code)
        .filter(|code| !tests.iter().any(|text| names(text, *code)))
        .collect();
    assert!(missing.is_empty(), "no test has {missing:?}");
}

/// Returns whether a test has a code by its number or by its constant.
fn names(test: &str, code: Code) -> bool {
    let table = include_str!("../src/diag/code.rs");
    let end = format!(" = \"{code}\"");
    let line = table.lines().find(|line| line.contains(&end));
    let constant = line.and_then(|line| line.trim_start().split(' ').next());
    let constant = constant.map(|name| format!("code::{name}"));
    test.contains(code.0) || constant.is_some_and(|constant| test.contains(&constant))
}

/// Returns the texts of all tests but this file, and the snapshots.
fn tests() -> Vec<String> {
    let below = |folder: &str, ending| crate::docs::files(&repository().join(folder), ending);
    let read = |path: std::path::PathBuf| fs::read_to_string(path).unwrap_or_default();
    let own = |path: &std::path::PathBuf| !path.ends_with("tests/pages.rs");
    let whole = below("tests", ".rs").into_iter().filter(own);
    let snapshots = ["src", "tests"]
        .map(|folder| below(folder, ".snap"))
        .concat();
    let inner = below("src", ".rs").into_iter().map(|path| {
        let is_test =
            path.iter().any(|part| part == "tests") || path.to_string_lossy().ends_with("tests.rs");
        let text = read(path);
        let after = text
            .split_once("#[cfg(test)]")
            .map(|(_, test)| test.to_owned());
        if is_test {
            text
        } else {
            after.unwrap_or_default()
        }
    });
    let whole = whole.chain(snapshots).map(read);
    whole.chain(inner).collect()
}

/// Says which of a page's examples is not what it is there for.
fn mistold(entry: &Entry) -> Vec<String> {
    let code = entry.code;
    let examples = examples(entry.page);
    let places = ["the example", "the mended example"];
    let policies = examples.iter().zip(places);
    let policies = policies.filter(|((word, _), _)| *word == "tide");
    let wrong = policies.filter_map(|((_, text), place)| {
        let compiled = compiled(text);
        let right = if place == places[0] {
            has(&compiled, code)
        } else {
            !has(&compiled, code) && !compiled.has_errors()
        };
        let said: Vec<&str> = compiled
            .diagnostics
            .iter()
            .map(|it| it.message.as_str())
            .collect();
        (!right).then(|| format!("{code}: {place}: {}", said.join("; ")))
    });
    wrong.collect()
}

fn has(compiled: &Compiled, code: Code) -> bool {
    compiled.diagnostics.iter().any(|it| it.code == code)
}

fn compiled(text: &str) -> Compiled {
    let mut compiled = compile(&Files::one(&whole(text)), "policy.tide");
    compiled.lint();
    compiled
}

/// Adds what an example leaves out since it is the same in all of them.
fn whole(text: &str) -> String {
    let lacks = |word: &str| !text.lines().any(|line| line.starts_with(word));
    let mut policy = String::new();
    if lacks("host ") {
        policy.push_str("host {\n  uplink eth0\n  forwarding on\n  forward drop\n}\n");
    }
    if lacks("network ") {
        policy.push_str("network shop {\n  bridge br-shop\n  subnet 172.18.0.0/24\n}\n");
        for (name, rest) in [
            ("web", "at 172.18.0.10 { expose 80/tcp from host }\n"),
            ("db", "at 172.18.0.20 { expose 5432/tcp from host }\n"),
        ] {
            let head = format!("container {name} ");
            if lacks(&head) {
                policy.extend([head.as_str(), "on shop ", rest]);
            }
        }
    }
    if text.contains("office") && lacks("trust office ") {
        policy.push_str("trust office { 203.0.113.0/24 }\n");
    }
    policy + text
}
