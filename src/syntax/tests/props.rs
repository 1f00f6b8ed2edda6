//! Whatever the text, reading it ends, and what was not understood is an error.

use proptest::prelude::*;

use super::parsed;
use crate::diag::text::{Style, render};
use crate::diag::{Diagnostic, code, json::render_json};
use crate::source::SourceMap;
use crate::syntax::grammar::{self, Rule};
use crate::syntax::tests::accepted::SHOP;

/// Pieces that the grammar and the scanner give a meaning to.
const PIECES: [&str; 36] = [
    "container",
    "host",
    "trust",
    "network",
    "link",
    "allow",
    "expect",
    "expose",
    "as",
    "from",
    "on",
    "at",
    "icmp",
    "tcp",
    "80",
    "web",
    "10.0.0.0/8",
    "fd00::1",
    "{",
    "}",
    "[",
    "]",
    "->",
    ",",
    ":",
    "/",
    "-",
    "\"",
    "#",
    "\n",
    "\r\n",
    " ",
    "ä",
    "except",
    "file",
    "include",
];

/// Reading item by item refuses what the grammar refuses, and nothing else; only some words that
/// the grammar lets pass are refused afterwards.
fn agrees(diagnostics: &[Diagnostic], text: &str) {
    let words = [
        code::RESERVED_WORD,
        code::BUILT_IN_NAME,
        code::ADDRESS_AS_NAME,
        code::NUMBER_TOO_LARGE,
    ];
    let agrees = match grammar::read(Rule::file, text) {
        Ok(_) => diagnostics.iter().all(|one| words.contains(&one.code)),
        Err(_) => !diagnostics.is_empty(),
    };
    assert!(agrees, "{text}\n{diagnostics:#?}");
}

/// Every report about a text can be shown, and its places are within the text.
fn check(diagnostics: &[Diagnostic], sources: &SourceMap, text: &str) {
    let style = Style {
        colour: true,
        width: 60,
    };
    render(diagnostics, sources, "base", style);
    render_json(diagnostics, sources, "base");
    for label in diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels) {
        let (start, end) = (label.span.start as usize, label.span.end as usize);
        assert!(text.get(start..end).is_some(), "{start}..{end} in {text:?}");
    }
}

proptest! {
    // What fails becomes a test of its own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_to_its_end(text in ".{0,200}") {
        let (_, diagnostics, sources) = parsed(&text);
        check(&diagnostics, &sources, &text);
    }

    #[test]
    fn pieces_in_any_order_are_read_to_their_end(
        pieces in prop::collection::vec((prop::sample::select(&PIECES[..]), any::<bool>()), 0..60),
    ) {
        let piece = |(piece, blank): &(&str, bool)| format!("{piece}{}", if *blank { " " } else { "" });
        let text: String = pieces.iter().map(piece).collect();
        let (_, diagnostics, sources) = parsed(&text);
        agrees(&diagnostics, &text);
        check(&diagnostics, &sources, &text);
    }

    #[test]
    fn a_damaged_policy_is_read_to_its_end(
        at in 0..SHOP.len(),
        length in 0_usize..30,
        piece in prop::sample::select(&PIECES[..]),
    ) {
        let end = (at + length).min(SHOP.len());
        let text = format!("{}{piece}{}", &SHOP[..at], &SHOP[end..]);
        let (file, diagnostics, sources) = parsed(&text);
        check(&diagnostics, &sources, &text);
        agrees(&diagnostics, &text);
        prop_assert!(!diagnostics.is_empty() || !file.items.is_empty());
    }

    /// A mistake in one item makes no other item a mistake and loses none of them.
    #[test]
    fn one_bad_item_costs_one_error(item in 0_usize..14) {
        let mut lines: Vec<&str> = SHOP.lines().collect();
        let starts: Vec<usize> = (0..lines.len())
            .filter(|at| lines[*at].starts_with(|c: char| c.is_ascii_lowercase()))
            .collect();
        let at = starts.get(item).copied().unwrap_or(lines.len());
        lines.insert(at, "link web db");
        let (file, diagnostics, _) = parsed(&lines.join("\n"));
        prop_assert_eq!(file.items.len(), 13);
        prop_assert_eq!(diagnostics.len(), 1);
    }
}
