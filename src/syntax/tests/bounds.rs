//! Texts that were made to be expensive.

use std::time::{Duration, Instant};

use super::{good, parsed};
use crate::diag::{Code, code};
use crate::syntax::ast::Item;
use crate::syntax::bounds::{DEPTH, FILE, LIST, NAME};

/// Far above what any text here takes in a build without optimisation.
const SOON: Duration = Duration::from_secs(20);

#[track_caller]
fn codes(text: &str) -> Vec<Code> {
    let start = Instant::now();
    let (_, diagnostics, _) = parsed(text);
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
    diagnostics
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect()
}

#[test]
fn a_file_is_at_most_a_mebibyte() {
    let comment = format!("#{}", "x".repeat(FILE - 1));
    assert!(codes(&comment).is_empty());
    assert_eq!(codes(&format!("{comment}x")), [code::FILE_TOO_LARGE]);
}

#[test]
fn depth_is_refused_before_anything_recurses() {
    assert_eq!(codes(&"{".repeat(100_000)), [code::TOO_DEEP]);
    assert_eq!(codes(&"host {[(".repeat(30_000)), [code::TOO_DEEP]);
    assert!(!codes(&"{".repeat(DEPTH)).contains(&code::TOO_DEEP));
    assert!(!codes(&"{}".repeat(1000)).contains(&code::TOO_DEEP));
}

#[test]
fn brackets_in_comments_and_texts_have_no_depth() {
    let many = "{".repeat(100);
    good(&format!("# {many}\ninclude \"{many}\""));
}

#[test]
fn garbage_is_one_mistake() {
    let garbage: String = (0..5000_u32)
        .filter_map(|at| char::from_u32(at * 7 % 300))
        .collect();
    assert_eq!(codes(&garbage), [code::NOT_TEXT]);
    assert_eq!(codes("host\u{0} {}"), [code::NOT_TEXT]);
    assert_eq!(codes("host {}\rhost {}"), [code::NOT_TEXT]);
    assert_eq!(codes("host {}\u{feff}"), [code::NOT_TEXT]);
}

#[test]
fn mistakes_without_number_stop_the_reading() {
    let codes = codes(&"x\n".repeat(100_000));
    assert_eq!(codes.len(), 1001);
    assert!(codes.contains(&code::TOO_MANY_MISTAKES));
    let block = format!("trust t {{\n{}}}", "a b\n".repeat(100_000));
    assert_eq!(self::codes(&block).len(), 1001);
}

#[test]
fn names_have_a_length() {
    let name = "n".repeat(NAME);
    good(&format!("trust {name} {{ }}"));
    assert_eq!(
        codes(&format!("trust {name}n {{ }}")),
        [code::NAME_TOO_LONG]
    );
}

#[test]
fn lists_are_bounded_and_sets_may_be_large() {
    let names = |count: usize| vec!["a"; count].join(",");
    good(&format!("allow {} -> b", names(LIST)));
    assert_eq!(
        codes(&format!("allow {} -> b", names(LIST + 1))),
        [code::LIST_TOO_LONG]
    );
    assert_eq!(
        codes(&format!("trust t {{{}}}", names(200_001))),
        [code::LIST_TOO_LONG]
    );
    let file = good(&format!("trust t {{{}}}", names(200_000)));
    assert!(matches!(&file.items[0], Item::Trust(trust) if trust.members.len() == 200_000));
}

/// Each text makes a parser that goes back and tries again do so at every step. The texts are as
/// large as a build without optimisation reads soon.
#[test]
fn nothing_is_tried_over_and_over() {
    let size = FILE / 8;
    let half = size / 2;
    for text in [
        "a,".repeat(half),
        format!("allow {}", "a,".repeat(half - 10)),
        format!("trust t {{ {} }}", "a-".repeat(half - 10)),
        format!("trust t {{ {} }}", "1-".repeat(half - 10)),
        format!("link a -> b : {}", "1,".repeat(half - 10)),
        format!("link a -> b : {}1", "1-".repeat(half - 10)),
        format!("link a,{}", "\n".repeat(size - 10)),
        format!("link a{}", "->\n".repeat(size / 3 - 10)),
        format!("host {{ uplink {} ;}}", "a ".repeat(half - 20)),
        format!("host {{ {}", "\"".repeat(size - 20)),
        format!("host {{ {}", "[".repeat(DEPTH - 1)),
        format!("host {{\n{}", "[\n]{\n}\n".repeat(size / 8)),
        format!("host {{\n{}", "link a -> b\n".repeat(size / 12 - 1)),
        "host {\n".repeat(DEPTH),
        format!("{}{}", "{ ".repeat(DEPTH), "a ".repeat(half - 100)),
        " ".repeat(size),
        "#\n".repeat(half),
        format!("container {}", "on a at a ".repeat(size / 10 - 10)),
        "host{}".repeat(size / 6),
    ] {
        codes(&text);
    }
}
