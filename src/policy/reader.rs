//! Reads the policy's files, each once.

use std::collections::HashMap;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::{SourceId, SourceMap, Span};
use crate::syntax::ast::Spanned;

use super::path::{self, Escape};
use super::{LoadError, Loader};

/// How many files a policy may have, its address lists counted.
pub(super) const MAX_FILES: usize = 256;

/// All files read so far, and what there is to say about them.
pub(super) struct Reader<'a> {
    loader: &'a dyn Loader,
    /// Folder of the main policy in the loader's terms, with its `/`, or nothing.
    root: String,
    read: HashMap<String, Option<SourceId>>,
    /// The limit of files has been reported.
    over: bool,
    pub(super) sources: SourceMap,
    pub(super) diagnostics: Diagnostics,
}

impl<'a> Reader<'a> {
    pub(super) fn new(loader: &'a dyn Loader, main: &str) -> Self {
        Reader {
            loader,
            root: path::folder(main).to_owned(),
            read: HashMap::new(),
            over: false,
            sources: SourceMap::default(),
            diagnostics: Diagnostics::default(),
        }
    }

    /// Reads the main policy, whose name is in the loader's terms.
    pub(super) fn main(&mut self, main: &str) -> Option<SourceId> {
        let name = main.strip_prefix(self.root.as_str()).unwrap_or(main);
        match self.load(name) {
            Ok(source) => Some(source),
            Err(error) => {
                let title = format!("the policy `{main}` cannot be read");
                let failure = Diagnostic::error(code::UNREADABLE_FILE, title);
                self.diagnostics.push(failure.note(sentence(&error)));
                None
            }
        }
    }

    /// Reads a file that a policy names, or finds it among those already read. Returns `None`
    /// after an error, which a file gives only once.
    pub(super) fn open(&mut self, name: &str, named: Span) -> Option<SourceId> {
        if let Some(known) = self.read.get(name) {
            return *known;
        }
        if self.read.len() >= MAX_FILES {
            if !std::mem::replace(&mut self.over, true) {
                self.diagnostics.push(too_many(named));
            }
            return None;
        }
        self.load(name).map_or_else(
            |error| {
                self.diagnostics.push(unreadable(name, named, &error));
                None
            },
            Some,
        )
    }

    /// Joins a file name to the folder of the file that it is written in.
    pub(super) fn resolve(&mut self, within: &str, written: &Spanned<String>) -> Option<String> {
        match path::join(path::folder(within), &written.node) {
            Ok(name) => Some(name),
            Err(why) => {
                self.diagnostics.push(escape(written, why));
                None
            }
        }
    }

    /// Returns a source's name relative to the main policy's folder.
    pub(super) fn name(&self, source: SourceId) -> &str {
        let name = self.sources.get(source).name.as_str();
        name.strip_prefix(self.root.as_str()).unwrap_or(name)
    }

    fn load(&mut self, name: &str) -> Result<SourceId, LoadError> {
        let whole = format!("{}{name}", self.root);
        let loaded = self.loader.load(&whole);
        let source = loaded.map(|text| self.sources.add(whole, text));
        self.read
            .insert(name.to_owned(), source.as_ref().ok().copied());
        source
    }
}

/// Turns an error's text into a sentence of a note.
fn sentence(error: &LoadError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    let end = if text.ends_with('.') { "" } else { "." };
    first
        .into_iter()
        .flatten()
        .chain(letters)
        .collect::<String>()
        + end
}

fn unreadable(name: &str, named: Span, error: &LoadError) -> Diagnostic {
    let title = format!("the file `{name}` cannot be read");
    Diagnostic::error(code::UNREADABLE_FILE, title).at(named, error.to_string())
}

fn too_many(named: Span) -> Diagnostic {
    let title = format!("the policy has more than {MAX_FILES} files");
    Diagnostic::error(code::TOO_MANY_FILES, title)
        .at(named, "one too many")
        .help("put small files together")
}

fn escape(written: &Spanned<String>, why: Escape) -> Diagnostic {
    let text = match why {
        Escape::Absolute => "an absolute path",
        Escape::Empty => "no file is named",
        Escape::Parent => "`..` leads out of the folder",
    };
    let title = "this file is outside the policy's folder";
    Diagnostic::error(code::INCLUDE_ESCAPE, title)
        .at(written.span, text)
        .note("A policy is read as one folder, so that it can be reviewed and moved as a whole.")
        .help("put the file into the folder of the main policy, or into one below it")
}
