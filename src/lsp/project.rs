//! A policy as the editor has it: what is typed and not yet saved counts before what is on disk.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::mentions::{self, Mention};
use super::path;
use crate::compile::{Compiled, How, compile_with};
use crate::diag::Diagnostics;
use crate::net::Family;
use crate::policy::ir::Policy;
use crate::policy::{LoadError, Loader};
use crate::question::{self, Cell, Side, SideKind};
use crate::source::{SourceId, Span};
use crate::syntax::ast::{File, Item};
use crate::syntax::parse;

/// The files that are not open in the editor.
pub trait Disk {
    /// Returns the text of a policy's file; the name is relative to the policy's folder.
    fn load(&self, folder: &str, name: &str) -> Result<String, LoadError>;

    /// Returns the names of the policy files in a folder, sorted.
    fn policies(&self, folder: &str) -> Vec<String>;
}

/// Texts that are open in the editor, by path.
pub(super) type Open = BTreeMap<String, String>;

/// Files of one folder, the open ones as they are typed.
struct Overlay<'a> {
    folder: &'a str,
    open: &'a Open,
    disk: &'a dyn Disk,
}

impl Loader for Overlay<'_> {
    fn load(&self, name: &str) -> Result<String, LoadError> {
        match self.open.get(&path::join(self.folder, name)) {
            Some(text) => Ok(text.clone()),
            None => self.disk.load(self.folder, name),
        }
    }
}

/// A policy, and what is known of it.
pub(super) struct Project {
    folder: String,
    pub(super) compiled: Compiled,
    /// Its policy files as they were written.
    pub(super) files: Vec<(SourceId, File)>,
    pub(super) mentions: Vec<Mention>,
    matrix: OnceCell<Vec<Cell>>,
}

impl Project {
    /// Reads and checks the policy whose main file is at a path.
    pub(super) fn read(main: &str, open: &Open, disk: &dyn Disk) -> Project {
        let (folder, name) = path::split(main);
        let overlay = Overlay { folder, open, disk };
        let mut compiled = compile_with(&overlay, name, None, How::default());
        compiled.lint();
        let sources = &compiled.sources;
        let policies = sources.ids().filter(|id| is_policy(&sources.get(*id).name));
        let files: Vec<(SourceId, File)> = policies
            .map(|id| {
                let text = &sources.get(id).text;
                (id, parse(id, text, &mut Diagnostics::default()))
            })
            .collect();
        let mentions = files.iter().flat_map(|(_, file)| mentions::of(file));
        Project {
            folder: folder.to_owned(),
            mentions: mentions.collect(),
            files,
            compiled,
            matrix: OnceCell::new(),
        }
    }

    pub(super) fn path(&self, source: SourceId) -> String {
        path::join(&self.folder, &self.compiled.sources.get(source).name)
    }

    /// Returns the file at a path, if the policy has it.
    pub(super) fn source(&self, path: &str) -> Option<SourceId> {
        let mut ids = self.compiled.sources.ids();
        ids.find(|id| self.path(*id) == path)
    }

    pub(super) fn file(&self, source: SourceId) -> Option<&File> {
        let mut files = self.files.iter();
        files.find(|(id, _)| *id == source).map(|(_, file)| file)
    }

    pub(super) fn text(&self, source: SourceId) -> &str {
        &self.compiled.sources.get(source).text
    }

    /// Returns the name that stands at a place.
    pub(super) fn mention(&self, source: SourceId, offset: usize) -> Option<&Mention> {
        let holds = |span: Span| {
            span.source == source && (span.start as usize..=span.end as usize).contains(&offset)
        };
        self.mentions.iter().find(|mention| holds(mention.span))
    }

    /// Returns all places of a name.
    pub(super) fn same<'a>(&'a self, as_this: &'a Mention) -> impl Iterator<Item = &'a Mention> {
        self.mentions.iter().filter(|it| it.is_same(as_this))
    }

    /// Returns who reaches whom, worked out when it is first asked; nothing where that is too much.
    pub(super) fn matrix(&self) -> &[Cell] {
        self.matrix.get_or_init(|| {
            let pairs = self.compiled.policies.iter().zip(&self.compiled.bundles);
            let cells = pairs.flat_map(|(policy, bundle)| {
                let cells = Family::BOTH.map(|family| cells(policy, bundle.rules(family), family));
                cells.into_iter().flatten().flatten()
            });
            question::joined_cells(cells.collect())
        })
    }
}

fn cells(policy: &Policy, rules: &str, family: Family) -> Option<Vec<Cell>> {
    let placed = question::placed_as(policy, None);
    let assumed = question::of_placed(policy, &placed, rules, family).ok()?;
    let side = Side {
        machine: assumed.machine,
        policy: None,
        kind: SideKind::Policy,
        known: BTreeMap::new(),
    };
    question::cells(&side, &placed).ok()
}

/// A policy's other files are lists of addresses.
fn is_policy(name: &str) -> bool {
    std::path::Path::new(name)
        .extension()
        .is_some_and(|it| it == "tide")
}

/// How many files the way from a main policy to one that it includes may have.
const DEPTH: usize = 16;

/// Returns the main file of the policy that a file belongs to: itself, unless one of its folder,
/// or of those above within `root`, includes it.
pub(super) fn main_of(path: &str, root: Option<&str>, open: &Open, disk: &dyn Disk) -> String {
    let mut main = path.to_owned();
    for _ in 0..DEPTH {
        match includer(&main, root, open, disk) {
            Some(above) if above != path => main = above,
            _ => break,
        }
    }
    main
}

fn includer(path: &str, root: Option<&str>, open: &Open, disk: &dyn Disk) -> Option<String> {
    let (mut folder, _) = path::split(path);
    loop {
        let overlay = Overlay { folder, open, disk };
        let within = path.strip_prefix(folder)?.trim_start_matches('/');
        let mut names = disk.policies(folder).into_iter();
        let found = names.find(|name| name != within && includes(&overlay, name, within));
        if let Some(name) = found {
            return Some(path::join(folder, &name));
        }
        let above = root.is_some_and(|root| folder.len() > root.len() && folder.starts_with(root));
        if !above {
            return None;
        }
        folder = path::split(folder).0;
    }
}

/// Tells whether one file of a folder names another in an `include`.
fn includes(overlay: &Overlay<'_>, name: &str, wanted: &str) -> bool {
    let Ok(text) = overlay.load(name) else {
        return false;
    };
    if !text.contains("include") {
        return false;
    }
    let source = crate::source::SourceMap::default().add(name, text.as_str());
    let file = parse(source, &text, &mut Diagnostics::default());
    let mut included = file.items.iter().filter_map(|item| match item {
        Item::Include(include) => Some(include.path.node.as_str()),
        _ => None,
    });
    included.any(|path| path.trim_start_matches("./") == wanted)
}
