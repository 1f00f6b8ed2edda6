//! The layout of a policy means nothing: random policies, badly laid out, before and after.

use std::collections::BTreeMap;
use std::fmt::Write;

use proptest::prelude::*;
use tidegate::compile::compile;
use tidegate::diag::Diagnostics;
use tidegate::format::format;
use tidegate::source::SourceMap;
use tidegate::syntax::parse;
use tidegate::syntax::tree::{self, Gap, Statement, WordKind};

use super::policies::{self, Tape};
use crate::support::files::{Files, repository};

/// Returns a text in its one layout, which must have no mistakes.
#[track_caller]
pub fn laid_out(text: &str) -> String {
    let source = SourceMap::default().add("policy.tide", text);
    let mut found = Diagnostics::default();
    let new = format(source, text, &mut found);
    new.unwrap_or_else(|| panic!("{text}\n{:#?}", found.into_sorted()))
}

/// Returns every word and comment in its order; of a comment also whether it has a line of its own.
pub fn words(text: &str) -> Vec<String> {
    let tree = tree::read(text).unwrap_or_else(|| panic!("{text}\nis not read"));
    let mut found = Vec::new();
    for item in &tree.items {
        of_statement(item, &mut found);
    }
    of_gap(&tree.end, &mut found);
    found
}

fn of_statement(statement: &Statement<'_>, found: &mut Vec<String>) {
    for word in &statement.words {
        of_gap(&word.before, found);
        found.push(word.text.to_owned());
    }
    if let Some(block) = &statement.block {
        found.push("{".to_owned());
        for statement in &block.statements {
            of_statement(statement, found);
            found.push("end of statement".to_owned());
        }
        of_gap(&block.close, found);
        found.push("}".to_owned());
    }
}

fn of_gap(gap: &Gap<'_>, found: &mut Vec<String>) {
    for comment in &gap.comments {
        found.push(format!("{} {}", comment.own_line, comment.text));
    }
}

/// Returns the AST as text, without the places.
pub fn without_places(text: &str) -> String {
    let source = SourceMap::default().add("policy.tide", text);
    let mut found = Diagnostics::default();
    let file = format!("{:?}", parse(source, text, &mut found));
    assert!(found.is_empty(), "{text}");
    let mut parts = file.split("Span {");
    let mut bare = parts.next().unwrap_or("").to_owned();
    for part in parts {
        bare.push_str(part.split_once('}').expect("a place ends").1);
    }
    bare
}

/// Returns what a policy is compiled to, without line numbers; nothing where it has mistakes.
fn compiled(text: &str) -> Vec<BTreeMap<String, String>> {
    let compiled = compile(&Files::one(text), "policy.tide");
    let bundles = compiled.bundles.iter();
    let without_lines = |text: &str| {
        let mut parts = text.split("policy.tide:");
        let mut bare = parts.next().unwrap_or("").to_owned();
        for part in parts {
            bare.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
        bare
    };
    let rules = |name: &&str| name.starts_with("rules") || *name == "90-tidegate.conf";
    let files = |bundle: &tidegate::artifact::Bundle| {
        let files = bundle.files().iter();
        files
            .filter(|(name, _)| rules(&name.as_str()))
            .map(|(name, text)| (name.clone(), without_lines(text)))
            .collect()
    };
    bundles.map(files).collect()
}

/// Lays a text out anew, badly: comments, blanks and line ends wherever they may stand.
fn disturbed(text: &str, tape: &mut Tape<'_>) -> String {
    let mut new = String::new();
    let mut rest = text;
    let mut count = 0;
    let mut comment = |tape: &mut Tape<'_>| {
        count += 1;
        let blanks = tape.pick(&["", " ", "   "]);
        format!("#{blanks}note {count}, \"{{ -> ä{blanks}")
    };
    while let Some(letter) = rest.chars().next() {
        if let '#' | '"' = letter {
            let end = rest[1..].find(['"', '\n']).filter(|_| letter == '"');
            let end = end.map(|end| end + 2).or(rest.find('\n'));
            let (kept, after) = rest.split_at(end.unwrap_or(rest.len()));
            new.push_str(kept);
            rest = after;
            // The comment of a line ends it.
            if letter == '#' && !after.is_empty() {
                new.push('\n');
                rest = &after[1..];
            }
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        let before = rest.strip_prefix(' ').unwrap_or(rest);
        let within_value = matches!(letter, '/' | ':') && !before.starts_with(char::is_alphabetic);
        let line_may_end = matches!(letter, ',' | '\n' | '{' | '[')
            || letter == '>'
            || letter == ':' && new.ends_with(' ') && rest.starts_with(' ');
        if letter == '\n' && tape.below(4) == 0 {
            let _ = write!(new, " {}", comment(tape));
        }
        if matches!(letter, ',') && !within_value && tape.below(4) == 0 {
            new.push_str("  ");
        }
        new.push(letter);
        if !line_may_end {
            continue;
        }
        // What goes on in the next line stays in it.
        let ends = letter == '\n';
        match tape.below(8) {
            0 => new.push_str(tape.pick(&["  ", "\t"])),
            1 => new.push_str("\n\n\n"),
            2 if !ends => {
                let _ = write!(new, " {}\r\n", comment(tape));
            }
            3 => {
                let _ = write!(new, "\n\n   {}\n\n{}\n", comment(tape), comment(tape));
            }
            _ => {}
        }
    }
    new
}

/// Checks all that is promised of one text, and returns its layout.
#[track_caller]
pub fn check(text: &str) -> String {
    let new = laid_out(text);
    assert_eq!(words(&new), words(text), "{text}\n{new}");
    assert_eq!(without_places(&new), without_places(text), "{text}\n{new}");
    assert_eq!(laid_out(&new), new, "of this:\n{text}");
    assert!(
        !new.contains("\n\n\n") && !new.contains('\r') && !new.contains(" \n"),
        "{new}"
    );
    assert!(
        new.is_empty() || new.ends_with('\n') && !new.starts_with('\n'),
        "{new}"
    );
    new
}

const CASES: [&str; 5] = [
    "tests/cases/06-everything/policy.tide",
    "tests/cases/06-everything/sets.tide",
    "tests/cases/08-no-engine-icc/policy.tide",
    "examples/03-trusted-only.tide",
    "examples/06-two-hosts.tide",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn layout_keeps_words_comments_and_meaning(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        noise in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let text = policies::policy(&mut Tape::new(&bytes));
        let bad = disturbed(&text, &mut Tape::new(&noise));
        let new = check(&bad);
        prop_assert_eq!(compiled(&new), compiled(&text), "{}\n{}", bad, new);
    }

    /// The same of every kind of statement, which random policies do not have.
    #[test]
    fn layout_keeps_every_kind_of_statement(
        case in prop::sample::select(&CASES[..]),
        noise in prop::collection::vec(any::<u8>(), 0..1200),
    ) {
        let text = std::fs::read_to_string(repository().join(case)).expect("text");
        let bad = disturbed(&text, &mut Tape::new(&noise));
        let new = check(&bad);
        prop_assert_eq!(without_places(&new), without_places(&text), "{}\n{}", bad, new);
    }

    /// Long lists are wrapped, and stay so.
    #[test]
    fn no_line_is_long_that_can_be_broken(
        left in 1_usize..40,
        right in 1_usize..40,
        services in 0_usize..40,
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let names = |count: usize| {
            let names: Vec<String> = (0..count).map(|id| format!("name-{id}")).collect();
            names.join(", ")
        };
        let ports: Vec<String> = (0..services).map(|id| format!("{id}/tcp")).collect();
        let colon = if services > 0 { " : " } else { "" };
        let text = format!("allow {} -> {}{colon}{}\n", names(left), names(right), ports.join(", "));
        let new = check(&text);
        prop_assert!(new.lines().all(|line| line.chars().count() <= 100), "{}", new);
        check(&disturbed(&text, &mut Tape::new(&noise)));
    }
}

/// Words between which a sign says what belongs together.
#[test]
fn every_sign_is_a_word() {
    let all = words("allow a, b -> c : 80,81/tcp\n");
    let tree = tree::read("container a on b {\n  expose 1/tcp as [::1]:2 from c\n}\n").unwrap();
    let block = tree.items[0].block.as_ref().unwrap();
    let kinds: Vec<WordKind> = block.statements[0].words.iter().map(|it| it.kind).collect();
    assert_eq!(all.len(), 12);
    assert_eq!(kinds.iter().filter(|it| **it == WordKind::Tight).count(), 2);
}
