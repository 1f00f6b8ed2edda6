//! Policies with mistakes and what is said of them, and policies without.

#![allow(
    clippy::too_many_lines,
    reason = "most lines are what is said, as a user sees it"
)]

mod access;
mod containers;
mod exposures;
mod files;
mod good;
mod host;
mod hosts;
mod inventory;
mod limits;
mod lint;
mod names;
mod networks;
mod no_engine;
mod props;
mod trust;
mod undeclared;

use std::collections::BTreeMap;

use super::{LoadError, Loaded, Loader, load};
use crate::diag::Diagnostic;
use crate::diag::text::{Style, render};
use crate::source::SourceMap;

/// Files by name.
#[derive(Debug, Default)]
struct Files(BTreeMap<String, String>);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Files(files.iter().map(owned).collect())
    }
}

impl Loader for Files {
    fn load(&self, name: &str) -> Result<String, LoadError> {
        self.0.get(name).cloned().ok_or(LoadError::Missing)
    }
}

fn load_text(text: &str) -> Loaded {
    load(&Files::new(&[("p.tide", text)]), "p.tide")
}

/// Returns all that is said of a policy of one file.
fn said(text: &str) -> String {
    shown(load_text(text))
}

/// Returns all that is said of a policy of several files, the first of which is the main one.
fn said_of(files: &[(&str, &str)]) -> String {
    shown(load(&Files::new(files), files[0].0))
}

/// Returns what is said of a policy with a network and two containers, whose text follows.
fn said_in_shop(text: &str) -> String {
    said(&in_shop(text))
}

fn in_shop(text: &str) -> String {
    format!(
        "network shop {{\n  bridge br-shop\n  subnet 172.18.0.0/16\n}}\n\
         container web on shop at 172.18.0.10 {{ expose 80/tcp }}\n\
         container db on shop at 172.18.0.20 {{ expose 5432/tcp }}\n{text}"
    )
}

/// Returns what a terminal shows of everything that was said.
fn shown(loaded: Loaded) -> String {
    assert_eq!(
        loaded.policies.is_empty(),
        loaded.diagnostics.has_errors(),
        "a policy stands exactly when there is no error"
    );
    let said = loaded.diagnostics.into_sorted();
    as_text(&said, &loaded.sources)
}

fn as_text(said: &[Diagnostic], sources: &SourceMap) -> String {
    let style = Style {
        colour: false,
        width: 100,
    };
    render(said, sources, "", style)
}
