//! The manual: its table of contents, its links, and every policy and command that it shows.

mod cli;
mod contents;
mod language;
mod shown;

use std::fs;
use std::path::PathBuf;

use crate::docs::files;
use crate::support::files::repository;

/// Returns the pages of `docs/` by their names below it, but for the table of contents.
fn pages() -> Vec<(String, String)> {
    let docs = repository().join("docs");
    let pages = files(&docs, ".md").into_iter();
    let pages = pages.filter(|path| !path.ends_with("SUMMARY.md"));
    pages
        .map(|path| page(&path.strip_prefix(&docs).unwrap().to_string_lossy()))
        .collect()
}

fn page(name: &str) -> (String, String) {
    let text = fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    (name.to_owned(), text)
}

fn path(name: &str) -> PathBuf {
    repository().join("docs").join(name)
}

/// Compares a generated text with its file, or writes it there with `UPDATE=1`.
#[track_caller]
fn is_kept(name: &str, text: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path(name), text).unwrap();
    }
    let kept = page(name).1;
    assert!(
        kept == text,
        "docs/{name} is old: run this test with UPDATE=1"
    );
}
