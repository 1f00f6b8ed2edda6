//! What doctor finds, as text for people and as JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::diag::finding::{Finding, Weight};

/// How much was looked at, so that "nothing found" says of what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub checks: Vec<&'static str>,
    /// Rules of both families, in both variants of iptables.
    pub rules: usize,
    pub files: usize,
    pub containers: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The worst first.
    pub findings: Vec<Finding>,
    pub looked_at: Counts,
}

impl Report {
    /// Returns whether nothing was found but notes.
    pub fn is_fine(&self) -> bool {
        self.count(Weight::Error) + self.count(Weight::Warning) == 0
    }

    fn count(&self, weight: Weight) -> usize {
        let same = |finding: &&Finding| finding.weight == weight;
        self.findings.iter().filter(same).count()
    }

    /// Returns the report for people: a paragraph for each finding, then one line about all.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            text.push_str(&finding.text());
        }
        let _ = writeln!(text, "{}", self.summary());
        text
    }

    fn summary(&self) -> String {
        let kinds = [Weight::Error, Weight::Warning, Weight::Note];
        let kinds = kinds.into_iter().map(|kind| (self.count(kind), kind));
        let found: Vec<String> = kinds
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| plural(count, kind.name()))
            .collect();
        let found = match found.as_slice() {
            [] => "nothing found".to_owned(),
            found => found.join(", "),
        };
        let Counts {
            checks,
            rules,
            files,
            containers,
        } = &self.looked_at;
        let looked = [
            plural(checks.len(), "check"),
            plural(*rules, "rule"),
            plural(*files, "file"),
            plural(*containers, "container"),
        ];
        format!("{found}; looked at: {}", looked.join(", "))
    }

    /// Returns the report as one JSON object.
    pub fn json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        let json = json.unwrap_or_else(|error| unreachable!("all keys are strings: {error}"));
        json + "\n"
    }
}

fn plural(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}
