//! What a user is told about a policy: data with a code, a place, a reason and a fix.

pub mod code;
pub mod finding;
pub mod github;
pub(crate) mod hidden;
pub mod json;
pub mod level;
mod place;
pub mod sarif;
pub mod suggest;
pub mod text;
pub(crate) mod wrap;

pub use code::Code;
pub use level::{Level, Levels};

use crate::source::Span;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

/// An underlined place; the primary one is where the mistake is, others show what it clashes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub span: Span,
    pub text: String,
    pub primary: bool,
}

/// An edit that would mend the mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    pub span: Span,
    pub replacement: String,
}

/// One mistake or doubt about the user's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    /// What is wrong, in one line and in the user's words.
    pub message: String,
    pub labels: Vec<Label>,
    /// Why it is wrong or what follows from it; whole sentences.
    pub notes: Vec<String>,
    /// What to write instead.
    pub help: Option<String>,
    pub fix: Option<Fix>,
}

impl Diagnostic {
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message.into())
    }

    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message.into())
    }

    fn new(code: Code, severity: Severity, message: String) -> Self {
        let (labels, notes) = (Vec::new(), Vec::new());
        Diagnostic {
            code,
            severity,
            message,
            labels,
            notes,
            help: None,
            fix: None,
        }
    }

    /// Underlines the place of the mistake.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
            primary: true,
        });
        self
    }

    /// Underlines a place that the mistake has to do with.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
            primary: false,
        });
        self
    }

    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    #[must_use]
    pub fn fix(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.fix = Some(Fix {
            span,
            replacement: replacement.into(),
        });
        self
    }

    /// Adds a line behind a statement of a block.
    #[must_use]
    pub fn line_behind(self, statement: Span, line: &str) -> Self {
        let end = Span {
            start: statement.end,
            ..statement
        };
        self.fix(end, format!("\n  {line}"))
    }

    /// Returns all that is said but for other places, a line each.
    pub(crate) fn full_text(&self) -> String {
        let labels = self.labels.iter().filter(|label| label.primary);
        let labels = labels.map(|label| label.text.as_str());
        let mut lines = vec![self.message.as_str()];
        lines.extend(labels.filter(|text| !text.is_empty()));
        lines.extend(self.notes.iter().map(String::as_str));
        let help = self.help.as_ref().map(|help| format!("help: {help}"));
        lines.extend(help.as_deref());
        lines.join("\n")
    }

    pub(crate) fn place(&self) -> Option<Span> {
        self.labels
            .iter()
            .find(|label| label.primary)
            .map(|label| label.span)
    }
}

/// Collects what all stages have to say, so that one run reports everything.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    pub fn has_errors(&self) -> bool {
        self.list
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Takes over what another collection has.
    pub fn append(&mut self, mut other: Diagnostics) {
        self.list.append(&mut other.list);
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns them by place, each once.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list
            .sort_by_key(|diagnostic| (diagnostic.place(), diagnostic.severity, diagnostic.code));
        self.list.dedup();
        self.list
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: T) {
        self.list.extend(diagnostics);
    }
}

/// Returns the path of a source below the folder `base`, or its name alone without one.
fn path(base: &str, name: &str) -> String {
    match base.trim_end_matches('/') {
        "" if base.is_empty() => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

/// Compares a message with the snapshot of its code, beside those of `tests/messages`.
#[cfg(test)]
pub(crate) fn told(code: Code, text: &str) {
    let mut settings = insta::Settings::clone_current();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    settings.set_snapshot_path(root.join("tests/messages/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(code.0, text));
}
