//! Bounds of what a policy may hold, each with its own error, and the time that checks take.

use std::fmt::Write as _;

use super::{Files, in_shop, load, load_text};
use crate::diag::{Code, code};

fn codes(files: &Files) -> Vec<Code> {
    let said = load(files, "p.tide").diagnostics.into_sorted();
    said.iter().map(|diagnostic| diagnostic.code).collect()
}

/// Writes one line for each number.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for number in 0..count {
        writeln!(text, "{}", line(number)).unwrap();
    }
    text
}

#[test]
fn includes_are_at_most_16_deep() {
    let chain = |depth: usize| {
        let mut files = Files::new(&[("p.tide", &in_shop("include \"0.tide\""))]);
        for number in 0..depth - 1 {
            let text = if number == depth - 2 {
                String::new()
            } else {
                format!("include \"{}.tide\"", number + 1)
            };
            files.0.insert(format!("{number}.tide"), text);
        }
        codes(&files)
    };
    assert_eq!(chain(16), []);
    assert_eq!(chain(17), [code::INCLUDE_DEPTH]);
}

#[test]
fn a_policy_has_at_most_256_files() {
    let many = |count: usize| {
        let includes = lines(count - 1, |number| format!("include \"{number}.tide\""));
        let mut files = Files::new(&[("p.tide", &in_shop(&includes))]);
        for number in 0..count - 1 {
            files.0.insert(format!("{number}.tide"), String::new());
        }
        codes(&files)
    };
    assert_eq!(many(256), []);
    assert_eq!(many(259), [code::TOO_MANY_FILES]);
}

fn networks(count: usize) -> String {
    lines(count, |number| {
        let (high, low) = (number / 256, number % 256);
        format!("network n{number} {{\n bridge b{number}\n subnet 10.{high}.{low}.0/24\n}}")
    })
}

#[test]
fn a_policy_has_at_most_4096_networks() {
    assert_eq!(codes(&Files::new(&[("p.tide", &networks(4096))])), []);
    let over = codes(&Files::new(&[("p.tide", &networks(4098))]));
    assert_eq!(over, [code::TOO_MANY_NETWORKS]);
}

#[test]
fn a_policy_has_at_most_100000_containers() {
    let mut files = Files::new(&[("p.tide", &in_shop("include \"0.tide\""))]);
    for part in 0..10 {
        let next = format!("include \"{}.tide\"\n", part + 1);
        let many = lines(10_000, |number| {
            format!("container c{part}-{number} on shop")
        });
        files.0.insert(format!("{part}.tide"), next + &many);
    }
    files.0.insert("10.tide".to_owned(), String::new());
    assert_eq!(codes(&files), [code::TOO_MANY_CONTAINERS]);
}

#[test]
fn sets_have_at_most_a_million_ranges() {
    // Addresses two apart do not merge.
    let list = lines(60_000, |number| {
        let at = 2 * number;
        format!("10.{}.{}.{}", at >> 16, (at >> 8) & 255, at & 255)
    });
    let sets = |count| {
        let text = lines(count, |number| {
            format!("trust t{number} {{ file \"l.txt\" }}")
        });
        codes(&Files::new(&[
            ("p.tide", &in_shop(&text)),
            ("l.txt", &list),
        ]))
    };
    assert_eq!(sets(16), []);
    assert_eq!(sets(18), [code::TOO_MANY_PREFIXES]);
}

#[test]
fn many_to_many_links_are_bounded() {
    let containers = lines(5_000, |number| {
        let (high, low) = (1 + number / 250, 1 + number % 250);
        format!("container c{number} on shop at 172.18.{high}.{low} {{ expose 80/tcp }}")
    });
    let names: Vec<String> = (0..5_000).map(|number| format!("c{number}")).collect();
    let names = names.join(",");
    let text = in_shop(&format!("{containers}link {names} -> {names}\n"));
    assert_eq!(
        codes(&Files::new(&[("p.tide", &text)])),
        [code::TOO_MANY_LINKS]
    );
}

#[test]
fn sets_within_sets_may_be_any_number_deep() {
    let chain = lines(20_000, |number| {
        format!("trust t{number} {{ t{} }}", number + 1)
    });
    let text = in_shop(&format!("{chain}trust t20000 {{ 192.0.2.1 }}"));
    let loaded = load_text(&text);
    let policy = loaded.policy().expect("no mistakes").clone();
    assert!(policy.trusts[0].set.contains("192.0.2.1".parse().unwrap()));
}

#[test]
fn a_long_circle_of_sets_is_one_error() {
    let count = 20_000;
    let circle = lines(count, |number| {
        format!("trust t{number} {{ t{} }}", (number + 1) % count)
    });
    let files = Files::new(&[("p.tide", &in_shop(&circle))]);
    assert_eq!(codes(&files), [code::TRUST_CYCLE]);
}
