//! One editor's session: what is open, and an answer to each request.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use lsp_server::{ErrorCode, Notification, Request, Response};
use lsp_types::{
    CodeActionParams, CompletionParams, DiagnosticRelatedInformation, DiagnosticSeverity,
    DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams,
    DocumentFormattingParams, DocumentSymbolParams, GotoDefinitionParams, HoverParams,
    InitializeParams, Location, NumberOrString, Range, ReferenceParams, RenameParams,
    TextDocumentPositionParams, Uri,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::context::Context;
use super::mentions::Mention;
use super::project::{Disk, Open, Project, main_of};
use super::text::Encoding;
use super::{complete, edits, hover, outline, path};
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::source::{SourceId, SourceMap, Span};
use crate::syntax::ast::File;
use crate::syntax::parse;

/// What an editor has open, and what is known of it.
pub struct Session<D> {
    disk: D,
    encoding: Encoding,
    /// The folder that the editor works in.
    root: Option<String>,
    open: Open,
    /// By main file; as of the last check.
    projects: BTreeMap<String, Rc<Project>>,
    /// The same, as they last had no mistake.
    good: BTreeMap<String, Rc<Project>>,
    /// Something was typed since the last check.
    dirty: bool,
    /// Files that the editor shows something about.
    told: BTreeSet<String>,
}

impl<D> std::fmt::Debug for Session<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

/// A place that a request is about.
struct At {
    path: String,
    source: SourceId,
    offset: usize,
    project: Rc<Project>,
}

type Answer = Result<Value, (ErrorCode, String)>;

impl<D: Disk> Session<D> {
    pub fn new(disk: D) -> Self {
        Session {
            disk,
            encoding: Encoding::default(),
            root: None,
            open: Open::new(),
            projects: BTreeMap::new(),
            good: BTreeMap::new(),
            dirty: false,
            told: BTreeSet::new(),
        }
    }

    /// Begins with what the editor can do, and returns what this can.
    pub fn initialize(&mut self, params: Value) -> Value {
        // Older editors know one folder only.
        let old: Option<Uri> = params
            .get("rootUri")
            .cloned()
            .and_then(|uri| parsed(uri).ok());
        let params: InitializeParams = serde_json::from_value(params).unwrap_or_default();
        let general = params.capabilities.general.unwrap_or_default();
        self.encoding = Encoding::best(general.position_encodings.as_deref());
        let folders = params.workspace_folders.unwrap_or_default().into_iter();
        let mut folders = folders.map(|folder| folder.uri).chain(old);
        self.root = folders.find_map(|uri| path::of_uri(&uri));
        json!({
            "capabilities": {
                "positionEncoding": self.encoding.kind(),
                // Whole texts: a policy is small.
                "textDocumentSync": { "openClose": true, "change": 1 },
                "codeActionProvider": { "codeActionKinds": ["quickfix"] },
                "completionProvider": { "triggerCharacters": [" ", ",", ":", "/", ">"] },
                "definitionProvider": true,
                "documentFormattingProvider": true,
                "documentSymbolProvider": true,
                "hoverProvider": true,
                "referencesProvider": true,
                "renameProvider": { "prepareProvider": true },
            },
            "serverInfo": { "name": "tidegate", "version": env!("CARGO_PKG_VERSION") },
        })
    }

    /// Takes what the editor says, and tells whether anything is to be checked.
    pub fn notice(&mut self, notice: Notification) -> bool {
        match notice.method.as_str() {
            "textDocument/didOpen" => {
                if let Ok(it) = parsed::<DidOpenTextDocumentParams>(notice.params) {
                    self.set(&it.text_document.uri, Some(it.text_document.text));
                }
            }
            "textDocument/didChange" => {
                if let Ok(mut it) = parsed::<DidChangeTextDocumentParams>(notice.params) {
                    let text = it.content_changes.pop().map(|change| change.text);
                    if text.is_some() {
                        self.set(&it.text_document.uri, text);
                    }
                }
            }
            "textDocument/didClose" => {
                if let Ok(it) = parsed::<DidCloseTextDocumentParams>(notice.params) {
                    self.set(&it.text_document.uri, None);
                }
            }
            // Other files of the policy may have been written.
            "textDocument/didSave" | "workspace/didChangeWatchedFiles" => self.dirty = true,
            _ => {}
        }
        self.dirty
    }

    fn set(&mut self, uri: &Uri, text: Option<String>) {
        let Some(path) = path::of_uri(uri) else {
            return;
        };
        match text {
            Some(text) => self.open.insert(path, text),
            None => self.open.remove(&path),
        };
        self.dirty = true;
    }

    /// Reads the policies of all open files again, if anything changed.
    fn refresh(&mut self) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        self.projects.clear();
        for path in self.open.keys() {
            let main = main_of(path, self.root.as_deref(), &self.open, &self.disk);
            if self.projects.contains_key(&main) {
                continue;
            }
            let project = Rc::new(Project::read(&main, &self.open, &self.disk));
            if !project.compiled.bundles.is_empty() {
                self.good.insert(main.clone(), Rc::clone(&project));
            }
            self.projects.insert(main, project);
        }
        let projects = &self.projects;
        self.good.retain(|main, _| projects.contains_key(main));
    }

    /// Checks all policies, and returns what the editor shall show of each file.
    pub fn check(&mut self) -> Vec<Notification> {
        self.refresh();
        let mut files: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for path in &self.told {
            files.entry(path.clone()).or_default();
        }
        for project in self.projects.values() {
            for (source, _) in &project.files {
                files.entry(project.path(*source)).or_default();
            }
            for diagnostic in &project.compiled.diagnostics {
                let Some(span) = place(project, diagnostic) else {
                    continue;
                };
                let path = project.path(span.source);
                let shown = shown(project, diagnostic, self.encoding);
                let list = files.entry(path).or_default();
                if !list.contains(&shown) {
                    list.push(shown);
                }
            }
        }
        let told = files.iter().filter(|(_, list)| !list.is_empty());
        self.told = told.map(|(path, _)| path.clone()).collect();
        let publish = |(path, list): (String, Vec<Value>)| {
            let uri = path::to_uri(&path)?;
            let params = json!({ "uri": uri, "diagnostics": list });
            let method = "textDocument/publishDiagnostics".to_owned();
            Some(Notification { method, params })
        };
        files.into_iter().filter_map(publish).collect()
    }

    pub fn answer(&mut self, request: Request) -> Response {
        let params = request.params;
        let answer = match request.method.as_str() {
            "textDocument/codeAction" => self.with(params, Self::actions),
            "textDocument/completion" => self.with(params, Self::completion),
            "textDocument/definition" => self.with(params, Self::definition),
            "textDocument/documentSymbol" => self.with(params, Self::symbols),
            "textDocument/formatting" => self.with(params, Self::formatting),
            "textDocument/hover" => self.with(params, Self::hover),
            "textDocument/prepareRename" => self.with(params, Self::prepare_rename),
            "textDocument/references" => self.with(params, Self::references),
            "textDocument/rename" => parsed(params).and_then(|params| self.rename(&params)),
            other => Err((ErrorCode::MethodNotFound, format!("no method {other}"))),
        };
        match answer {
            Ok(value) => Response::new_ok(request.id, value),
            Err((code, message)) => Response::new_err(request.id, code as i32, message),
        }
    }

    fn with<P: DeserializeOwned>(
        &mut self,
        params: Value,
        answer: fn(&mut Self, &P) -> Option<Value>,
    ) -> Answer {
        let params = parsed(params)?;
        Ok(answer(self, &params).unwrap_or(Value::Null))
    }

    /// Returns the policy that a file belongs to, as of the last check.
    fn project(&self, path: &str) -> Option<&Rc<Project>> {
        let mut projects = self.projects.values();
        projects.find(|project| project.source(path).is_some())
    }

    /// Returns the same policy as it last had no mistake.
    fn good(&self, path: &str) -> Option<&Rc<Project>> {
        let mut all = self.projects.iter();
        let (main, _) = all.find(|(_, project)| project.source(path).is_some())?;
        self.good.get(main)
    }

    fn at(&mut self, params: &TextDocumentPositionParams) -> Option<At> {
        self.refresh();
        let path = path::of_uri(&params.text_document.uri)?;
        let project = Rc::clone(self.project(&path)?);
        let source = project.source(&path)?;
        let offset = self.encoding.offset(project.text(source), params.position);
        Some(At {
            path,
            source,
            offset,
            project,
        })
    }

    fn location(&self, project: &Project, span: Span) -> Option<Location> {
        let uri = path::to_uri(&project.path(span.source))?;
        let text = project.text(span.source);
        let (start, end) = (span.start as usize, span.end as usize);
        Some(Location::new(uri, self.encoding.range(text, start, end)))
    }

    fn locations<'a>(
        &self,
        project: &Project,
        mentions: impl Iterator<Item = &'a Mention>,
    ) -> Value {
        let places = mentions.filter_map(|it| self.location(project, it.span));
        json!(places.collect::<Vec<Location>>())
    }

    fn definition(&mut self, params: &GotoDefinitionParams) -> Option<Value> {
        let at = self.at(&params.text_document_position_params)?;
        let mention = at.project.mention(at.source, at.offset)?;
        let declared = at.project.same(mention).filter(|it| it.declares.is_some());
        Some(self.locations(&at.project, declared))
    }

    fn references(&mut self, params: &ReferenceParams) -> Option<Value> {
        let at = self.at(&params.text_document_position)?;
        let mention = at.project.mention(at.source, at.offset)?;
        let all = params.context.include_declaration;
        let same = at.project.same(mention);
        let wanted = same.filter(|it| all || it.declares.is_none());
        Some(self.locations(&at.project, wanted))
    }

    fn prepare_rename(&mut self, params: &TextDocumentPositionParams) -> Option<Value> {
        let at = self.at(params)?;
        let mention = at.project.mention(at.source, at.offset);
        // Words such as `any` are declared nowhere.
        let mention = mention.filter(|it| at.project.same(it).any(|it| it.declares.is_some()));
        let range = mention.and_then(|it| self.location(&at.project, it.span));
        range.map(|location| json!(location.range))
    }

    fn rename(&mut self, params: &RenameParams) -> Answer {
        let nothing = || (ErrorCode::InvalidRequest, "no name stands here".to_owned());
        let at = self
            .at(&params.text_document_position)
            .ok_or_else(nothing)?;
        let mention = at
            .project
            .mention(at.source, at.offset)
            .ok_or_else(nothing)?;
        edits::rename(&at.project, mention, &params.new_name, self.encoding)
            .map_err(|why| (ErrorCode::InvalidRequest, why))
    }

    fn hover(&mut self, params: &HoverParams) -> Option<Value> {
        let at = self.at(&params.text_document_position_params)?;
        let text = at.project.text(at.source);
        let good = self.good(&at.path).map(Rc::as_ref);
        let mention = at.project.mention(at.source, at.offset);
        let named = mention.and_then(|it| hover::name(&it.name, good));
        let exposed = || {
            let file = at.project.file(at.source)?;
            hover::exposure(file, at.source, at.offset, good?)
        };
        let said = named
            .or_else(exposed)
            .or_else(|| hover::keyword(text, at.offset));
        let hover = |said: String| json!({"contents": {"kind": "markdown", "value": said}});
        said.map(hover)
    }

    /// Offers names as of the last check: what is typed right now declares nothing new.
    fn completion(&mut self, params: &CompletionParams) -> Option<Value> {
        let at = &params.text_document_position;
        let path = path::of_uri(&at.text_document.uri)?;
        if self.project(&path).is_none() {
            self.refresh();
        }
        let text = self.open.get(&path)?;
        let offset = self.encoding.offset(text, at.position);
        let Some(context) = Context::at(text, offset) else {
            return Some(json!([]));
        };
        let project = self.project(&path).map(Rc::as_ref);
        Some(json!(complete::items(&context, project)))
    }

    /// Reads the text alone: editors ask for this at every letter.
    fn symbols(&mut self, params: &DocumentSymbolParams) -> Option<Value> {
        let path = path::of_uri(&params.text_document.uri)?;
        let text = self.open.get(&path)?;
        let source = SourceMap::default().add(path, text.as_str());
        let file = parse(source, text, &mut Diagnostics::default());
        Some(json!(outline::symbols(&file, text, self.encoding)))
    }

    fn formatting(&mut self, params: &DocumentFormattingParams) -> Option<Value> {
        let path = path::of_uri(&params.text_document.uri)?;
        let edits = edits::layout(self.open.get(&path)?, self.encoding)?;
        Some(json!(edits))
    }

    /// Has nothing to offer until what was typed is checked: then the editor asks again.
    fn actions(&mut self, params: &CodeActionParams) -> Option<Value> {
        if self.dirty {
            return None;
        }
        let start =
            TextDocumentPositionParams::new(params.text_document.clone(), params.range.start);
        let at = self.at(&start)?;
        let end = self
            .encoding
            .offset(at.project.text(at.source), params.range.end);
        let touches = |span: Span| {
            let (first, last) = (span.start as usize, span.end as usize);
            span.source == at.source && first <= end && at.offset <= last
        };
        let mut found = Vec::new();
        for diagnostic in &at.project.compiled.diagnostics {
            let Some(fix) = &diagnostic.fix else {
                continue;
            };
            let place = place(&at.project, diagnostic);
            if touches(fix.span) || place.is_some_and(touches) {
                let action = edits::action(&at.project, diagnostic, fix, self.encoding);
                found.push(action);
            }
        }
        Some(json!(found))
    }
}

fn parsed<P: DeserializeOwned>(params: Value) -> Result<P, (ErrorCode, String)> {
    serde_json::from_value(params).map_err(|error| (ErrorCode::InvalidParams, error.to_string()))
}

/// Returns where a mistake is; one without a place is at the start of the policy, if that was read.
fn place(project: &Project, diagnostic: &Diagnostic) -> Option<Span> {
    let start = |(source, _): &(SourceId, File)| Span {
        source: *source,
        start: 0,
        end: 0,
    };
    diagnostic
        .place()
        .or_else(|| project.files.first().map(start))
}

/// Returns a mistake as editors show it.
pub(super) fn shown(project: &Project, diagnostic: &Diagnostic, encoding: Encoding) -> Value {
    let range = |span: Span| {
        let text = project.text(span.source);
        encoding.range(text, span.start as usize, span.end as usize)
    };
    let others = diagnostic.labels.iter().filter(|label| !label.primary);
    let related = others.filter_map(|label| {
        let uri = path::to_uri(&project.path(label.span.source))?;
        Some(DiagnosticRelatedInformation {
            location: Location::new(uri, range(label.span)),
            message: label.text.clone(),
        })
    });
    let related: Vec<_> = related.collect();
    json!(lsp_types::Diagnostic {
        range: place(project, diagnostic).map_or(Range::default(), range),
        severity: Some(match diagnostic.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
        }),
        code: Some(NumberOrString::String(diagnostic.code.to_string())),
        source: Some("tidegate".to_owned()),
        message: diagnostic.full_text(),
        related_information: (!related.is_empty()).then_some(related),
        ..lsp_types::Diagnostic::default()
    })
}
