//! Diagnostics as JSON for other programs.

use serde::Serialize;

use super::place::{Place, Places};
use super::{Diagnostic, Fix, Label, Severity};
use crate::source::SourceMap;

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

/// Lines and columns are counted from 1, columns in characters; the end is the first place after.
#[derive(Serialize)]
struct LabelReport<'a> {
    file: String,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    text: &'a str,
    primary: bool,
}

/// The place to change, counted as in a label.
#[derive(Serialize)]
struct FixReport<'a> {
    file: String,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    replacement: &'a str,
}

/// Returns the diagnostics as one array, all of them. Names of sources are those below the folder
/// `base`, unless that is empty.
pub fn render_json(diagnostics: &[Diagnostic], sources: &SourceMap, base: &str) -> String {
    let view = View(Places { sources, base });
    let reports: Vec<Report<'_>> = diagnostics.iter().map(|one| view.report(one)).collect();
    // Text and numbers always have a form in JSON.
    let mut text = serde_json::to_string_pretty(&reports).unwrap_or_default();
    text.push('\n');
    text
}

struct View<'a>(Places<'a>);

impl View<'_> {
    fn report<'a>(&self, diagnostic: &'a Diagnostic) -> Report<'a> {
        let labels = diagnostic.labels.iter().map(|label| self.label(label));
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
            fix: diagnostic.fix.as_ref().map(|fix| self.fix(fix)),
        }
    }

    fn label<'a>(&self, label: &'a Label) -> LabelReport<'a> {
        let Place {
            file,
            start: (line, column),
            end: (end_line, end_column),
        } = self.0.of(label.span);
        LabelReport {
            file,
            line,
            column,
            end_line,
            end_column,
            text: &label.text,
            primary: label.primary,
        }
    }

    fn fix<'a>(&self, fix: &'a Fix) -> FixReport<'a> {
        let Place {
            file,
            start: (line, column),
            end: (end_line, end_column),
        } = self.0.of(fix.span);
        FixReport {
            file,
            line,
            column,
            end_line,
            end_column,
            replacement: &fix.replacement,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::render_json;
    use crate::diag::{Code, Diagnostic};
    use crate::source::{SourceMap, Span};

    #[test]
    fn places_are_lines_and_columns_in_characters() {
        let mut sources = SourceMap::default();
        let source = sources.add("a.tide", "ä b\nc");
        let span = |start, end| Span { source, start, end };
        let one = Diagnostic::error(Code("T0000"), "wrong\u{1b}")
            .at(span(3, 6), "here")
            .note("why")
            .fix(span(5, 6), "d");
        insta::assert_snapshot!(render_json(&[one], &sources, "/etc/tide"), @r##"
[
  {
    "code": "T0000",
    "severity": "error",
    "message": "wrong\u001b",
    "labels": [
      {
        "file": "/etc/tide/a.tide",
        "line": 1,
        "column": 3,
        "end_line": 2,
        "end_column": 2,
        "text": "here",
        "primary": true
      }
    ],
    "notes": [
      "why"
    ],
    "help": null,
    "fix": {
      "file": "/etc/tide/a.tide",
      "line": 2,
      "column": 1,
      "end_line": 2,
      "end_column": 2,
      "replacement": "d"
    }
  }
]
"##);
    }

    #[test]
    fn nothing_is_an_empty_array() {
        assert_eq!(render_json(&[], &SourceMap::default(), ""), "[]\n");
    }
}
