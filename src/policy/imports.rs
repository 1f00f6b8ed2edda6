//! The include graph: every file's items in the order they are read, each file once.

use std::collections::HashSet;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::source::{SourceId, Span};
use crate::syntax;
use crate::syntax::ast::{Include, Item};

use super::hidden::Hidden;
use super::reader::Reader;

/// How deep includes may stand in includes.
const MAX_DEPTH: usize = 16;

/// What all files together say.
#[derive(Debug, Default)]
pub(super) struct Imports {
    /// All items but `include`, an included file's in place of its `include`.
    pub(super) items: Vec<Item>,
    pub(super) hidden: Hidden,
}

/// Reads the main policy and everything that it includes.
pub(super) fn read(reader: &mut Reader<'_>, main: SourceId) -> Imports {
    let mut walk = Walk {
        reader,
        open: Vec::new(),
        done: HashSet::new(),
        imports: Imports::default(),
    };
    walk.file(main, None);
    walk.imports
}

/// A file whose items are being read, and the `include` that led to it.
struct Open {
    source: SourceId,
    include: Option<Span>,
}

struct Walk<'r, 'l> {
    reader: &'r mut Reader<'l>,
    /// From the main policy down to the file being read.
    open: Vec<Open>,
    done: HashSet<SourceId>,
    imports: Imports,
}

impl Walk<'_, '_> {
    fn file(&mut self, source: SourceId, include: Option<Span>) {
        self.done.insert(source);
        self.open.push(Open { source, include });
        for item in self.parse(source) {
            match item {
                Item::Include(include) => self.include(source, &include),
                other => self.imports.items.push(other),
            }
        }
        self.open.pop();
    }

    fn parse(&mut self, source: SourceId) -> Vec<Item> {
        let mut found = Diagnostics::default();
        let text = &self.reader.sources.get(source).text;
        let file = syntax::parse(source, text, &mut found);
        let broken = found.has_errors();
        let found = found.into_sorted();
        if broken {
            self.imports.hidden.add(&file, &found);
        }
        self.reader.diagnostics.extend(found);
        file.items
    }

    fn include(&mut self, within: SourceId, include: &Include) {
        let included = self.find(within, include);
        match included {
            None => self.imports.hidden.any = true,
            Some(source) if self.open.iter().any(|open| open.source == source) => {
                let cycle = self.cycle(source, include);
                self.reader.diagnostics.push(cycle);
            }
            Some(source) if self.done.contains(&source) => {}
            Some(_) if self.open.len() >= MAX_DEPTH => {
                self.imports.hidden.any = true;
                self.reader.diagnostics.push(too_deep(include));
            }
            Some(source) => self.file(source, Some(include.path.span)),
        }
    }

    fn find(&mut self, within: SourceId, include: &Include) -> Option<SourceId> {
        let within = self.reader.name(within).to_owned();
        let name = self.reader.resolve(&within, &include.path)?;
        self.reader.open(&name, include.path.span)
    }

    /// Shows the way from `source` down to the `include` that leads back to it.
    fn cycle(&self, source: SourceId, include: &Include) -> Diagnostic {
        let from = self.open.iter().position(|open| open.source == source);
        let round = self.open.get(from.unwrap_or(0)..).unwrap_or_default();
        let name = |source| self.reader.name(source);
        let mut path: Vec<&str> = round.iter().map(|open| name(open.source)).collect();
        path.push(name(source));
        let title = format!("`{}` includes itself", name(source));
        let mut cycle = Diagnostic::error(code::INCLUDE_CYCLE, title)
            .at(include.path.span, "this closes the circle")
            .note(format!("The circle is {}.", path.join(" -> ")));
        for step in round.iter().skip(1).filter_map(|open| open.include) {
            cycle = cycle.also(step, "included here");
        }
        cycle
    }
}

fn too_deep(include: &Include) -> Diagnostic {
    let title = format!("includes stand in each other more than {MAX_DEPTH} files deep");
    Diagnostic::error(code::INCLUDE_DEPTH, title)
        .at(include.path.span, "one too deep")
        .help("include this file from one nearer to the main policy")
}
