//! The reference of the language.

use std::collections::BTreeSet;
use std::fs;

use super::page;
use crate::support::files::repository;

/// The page's grammar has every word of the parser's, and no other.
#[test]
fn the_grammar_of_the_page_has_the_words_of_the_parser() {
    let parser = fs::read_to_string(repository().join("grammar/tide.pest")).unwrap();
    let words = parser.lines().filter(|line| line.starts_with("kw_"));
    let words: BTreeSet<&str> = words.map(|line| line.split('"').nth(1).unwrap()).collect();
    let text = page("language.md").1;
    let grammar = text
        .split("```text\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let quoted = grammar.split('\'').skip(1).step_by(2);
    let said: BTreeSet<&str> = quoted
        .filter(|word| word.starts_with(char::is_alphabetic))
        .collect();
    assert!(words.len() > 50);
    assert_eq!(said, words);
}
