//! Diagnostics as JSON for other programs.

use serde::Serialize;

use super::{Diagnostic, Severity};
use crate::source::{SourceMap, Span};

#[derive(Serialize)]
struct Report<'a> {
    code: &'a str,
    severity: &'a str,
    message: &'a str,
    labels: Vec<LabelReport<'a>>,
    notes: &'a [String],
    help: Option<&'a str>,
    fix: Option<FixReport<'a>>,
}

#[derive(Serialize)]
struct LabelReport<'a> {
    place: Place,
    text: &'a str,
    primary: bool,
}

#[derive(Serialize)]
struct FixReport<'a> {
    place: Place,
    replacement: &'a str,
}

/// Lines and columns from 1, columns in characters; the end is the first place after.
#[derive(Serialize)]
struct Place {
    file: String,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

/// Returns the diagnostics as one array, all of them. Names of sources are those below the folder
/// `base`, unless that is empty.
pub fn render_json(diagnostics: &[Diagnostic], sources: &SourceMap, base: &str) -> String {
    let reports: Vec<Report<'_>> = diagnostics
        .iter()
        .map(|diagnostic| report(diagnostic, sources, base))
        .collect();
    // Text and numbers always have a form in JSON.
    let mut text = serde_json::to_string_pretty(&reports).unwrap_or_default();
    text.push('\n');
    text
}

fn report<'a>(diagnostic: &'a Diagnostic, sources: &SourceMap, base: &str) -> Report<'a> {
    let labels = diagnostic.labels.iter().map(|label| LabelReport {
        place: place(label.span, sources, base),
        text: &label.text,
        primary: label.primary,
    });
    let fix = diagnostic.fix.as_ref().map(|fix| FixReport {
        place: place(fix.span, sources, base),
        replacement: &fix.replacement,
    });
    Report {
        code: diagnostic.code.0,
        severity: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: &diagnostic.message,
        labels: labels.collect(),
        notes: &diagnostic.notes,
        help: diagnostic.help.as_deref(),
        fix,
    }
}

fn place(span: Span, sources: &SourceMap, base: &str) -> Place {
    let source = sources.get(span.source);
    let (line, column) = source.line_column(span.start);
    let (end_line, end_column) = source.line_column(span.end);
    Place {
        file: super::path(base, &source.name),
        line,
        column,
        end_line,
        end_column,
    }
}
