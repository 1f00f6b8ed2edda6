//! Diagnostics as SARIF 2.1.0, which code scanning services read.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};

use super::code;
use super::place::{Place, Places};
use super::{Code, Diagnostic, Fix, Label, Severity};
use crate::source::SourceMap;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Returns one log with one run. Names of sources are those below the folder `base`, unless that is
/// empty.
pub fn render_sarif(diagnostics: &[Diagnostic], sources: &SourceMap, base: &str) -> String {
    let view = View(Places { sources, base });
    let codes: BTreeSet<Code> = diagnostics.iter().map(|one| one.code).collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(*code)).collect();
    let results: Vec<Value> = diagnostics
        .iter()
        .map(|one| view.result(one, &codes))
        .collect();
    let driver = json!({
        "name": "tidegate",
        "version": env!("CARGO_PKG_VERSION"),
        "rules": rules,
    });
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": driver },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn rule(code: Code) -> Value {
    let Some(entry) = code::find(code.0) else {
        return json!({ "id": code.0 });
    };
    json!({
        "id": code.0,
        "shortDescription": { "text": entry.meaning },
        "fullDescription": { "text": entry.description() },
        "help": { "text": entry.page, "markdown": entry.page },
        "defaultConfiguration": { "level": level(entry.severity) },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

struct View<'a>(Places<'a>);

impl View<'_> {
    fn result(&self, diagnostic: &Diagnostic, codes: &BTreeSet<Code>) -> Value {
        let (primary, others): (Vec<&Label>, Vec<&Label>) =
            diagnostic.labels.iter().partition(|label| label.primary);
        let all = |labels: Vec<&Label>| -> Vec<Value> {
            labels
                .into_iter()
                .map(|label| self.location(label))
                .collect()
        };
        let rule = codes.iter().position(|code| *code == diagnostic.code);
        let mut result = json!({
            "ruleId": diagnostic.code.0,
            "ruleIndex": rule,
            "level": level(diagnostic.severity),
            "message": { "text": diagnostic.full_text() },
            "locations": all(primary),
            "relatedLocations": all(others),
        });
        if let Some(fix) = &diagnostic.fix {
            let fixes = json!([self.fix(fix, diagnostic.help.as_deref())]);
            if let Some(result) = result.as_object_mut() {
                result.insert("fixes".to_owned(), fixes);
            }
        }
        result
    }

    fn location(&self, label: &Label) -> Value {
        let place = self.0.of(label.span);
        json!({
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&place.file) },
                "region": region(&place),
            },
            "message": { "text": label.text },
        })
    }

    fn fix(&self, fix: &Fix, help: Option<&str>) -> Value {
        let place = self.0.of(fix.span);
        json!({
            "description": { "text": help.unwrap_or("write this instead") },
            "artifactChanges": [{
                "artifactLocation": { "uri": uri(&place.file) },
                "replacements": [{
                    "deletedRegion": region(&place),
                    "insertedContent": { "text": fix.replacement },
                }],
            }],
        })
    }
}

fn region(place: &Place) -> Value {
    let ((line, column), (end_line, end_column)) = (place.start, place.end);
    json!({
        "startLine": line,
        "startColumn": column,
        "endLine": end_line,
        "endColumn": end_column,
    })
}

/// Writes a path as a URI, RFC 3986: relative to where the program runs, unless it is absolute.
fn uri(path: &str) -> String {
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let mut uri = scheme.to_owned();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(byte.into());
        } else {
            // Writing to a text cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::render_sarif;
    use crate::diag::{Diagnostic, code};
    use crate::source::{SourceMap, Span};

    #[test]
    fn a_result_has_its_rule_its_places_and_its_fix() {
        let mut sources = SourceMap::default();
        let source = sources.add("ä b.tide", "ä b\nc");
        let span = |start, end| Span { source, start, end };
        let one = Diagnostic::error(code::UNKNOWN_NAME, "wrong\u{1b}")
            .at(span(3, 6), "here")
            .also(span(0, 2), "there")
            .note("Why.")
            .help("did you mean `d`?")
            .fix(span(5, 6), "d");
        insta::assert_snapshot!(render_sarif(&[one], &sources, "/etc"));
    }

    #[test]
    fn nothing_is_a_run_without_results() {
        let text = render_sarif(&[], &SourceMap::default(), "");
        let log: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(log["runs"][0]["results"], serde_json::json!([]));
        assert_eq!(
            log["runs"][0]["tool"]["driver"]["rules"],
            serde_json::json!([])
        );
    }
}
