//! The table of contents and the links.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tidegate::diag::code;

use super::{is_kept, page, pages, path};
use crate::support::files::repository;

/// Returns what the links of a page lead to. What stands in blocks and in code is no link.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        in_block ^= line.starts_with("```");
        if in_block || line.starts_with("    ") {
            continue;
        }
        let prose: Vec<&str> = line.split('`').step_by(2).collect();
        let prose = prose.join("_");
        let targets = prose.split("](").skip(1);
        links.extend(targets.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())));
    }
    links
}

/// Returns what a heading is called in a link.
fn slug(heading: &str) -> String {
    let letters = heading.trim().to_lowercase();
    let letters = letters.chars().map(|c| if c == ' ' { '-' } else { c });
    letters
        .filter(|c| c.is_alphanumeric() || "-_".contains(*c))
        .collect()
}

fn headings(text: &str) -> BTreeSet<String> {
    let mut in_block = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        in_block ^= line.starts_with("```");
        if !in_block && line.starts_with('#') {
            found.insert(slug(line.trim_start_matches('#')));
        }
    }
    found
}

/// Says which of a page's links lead nowhere.
fn dead(from: &Path, text: &str) -> Vec<String> {
    let mut dead = Vec::new();
    for link in links(text).iter().filter(|link| !link.contains("://")) {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = match file {
            "" => from.to_owned(),
            file => from.parent().unwrap().join(file),
        };
        let text = fs::read_to_string(&target).unwrap_or_default();
        let found = target.exists() && (heading.is_empty() || headings(&text).contains(heading));
        if !found {
            dead.push(format!("{}: {link}", from.display()));
        }
    }
    dead
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, text) in pages().into_iter().chain([page("SUMMARY.md")]) {
        count += links(&text).len();
        wrong.extend(dead(&path(&name), &text));
    }
    let readme = repository().join("README.md");
    wrong.extend(dead(&readme, &fs::read_to_string(&readme).unwrap()));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 100, "only {count}");
}

#[test]
fn every_page_is_in_the_contents_once() {
    let contents = links(&page("SUMMARY.md").1);
    for (name, _) in pages() {
        let times = contents.iter().filter(|link| **link == name).count();
        assert_eq!(times, 1, "docs/SUMMARY.md has {name} {times} times");
    }
}

/// The pages of codes stand below the page that lists them.
#[test]
fn the_contents_have_the_pages_of_codes() {
    let text = page("SUMMARY.md").1;
    let kept = text.lines().filter(|line| !line.contains("(codes/T"));
    let mut lines: Vec<String> = kept.map(str::to_owned).collect();
    let at = lines
        .iter()
        .position(|line| line.contains("(codes.md)"))
        .unwrap();
    let pages = code::ALL
        .iter()
        .map(|entry| format!("  - [{0}](codes/{0}.md)", entry.code));
    let behind = lines.split_off(at + 1);
    lines.extend(pages.chain(behind));
    is_kept("SUMMARY.md", &(lines.join("\n") + "\n"));
}
