//! What a look at the machine found, as metrics for Prometheus: its text format 0.0.4, as `node_exporter`'s
//! textfile collector reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::report::{DriftKind, DriftReport};

/// One run of `tidegate drift`.
#[derive(Debug)]
pub struct Look<'a> {
    /// What is left after it; nothing where the machine could not be looked at.
    pub report: Option<&'a DriftReport>,
    /// How many differences it mended.
    pub repaired: usize,
    /// The exit status that it ends with.
    pub status: u8,
    /// Seconds since 1970, UTC.
    pub at: u64,
}

impl Look<'_> {
    /// Returns the metrics. Kinds of drift that were not found are there with 0, so that an alert sees
    /// them begin and end; where nothing could be found out, they are left out.
    pub fn metrics(&self) -> String {
        let mut text = Text::default();
        text.one(
            "tidegate_exit_status",
            "Exit status of the last run of tidegate drift: 0 no drift, 1 drift, 3 and 4 the machine failed.",
            self.status,
        );
        text.one(
            "tidegate_last_check_timestamp_seconds",
            "When tidegate drift last ran, in seconds since 1970.",
            self.at,
        );
        if let Some(report) = self.report {
            self.found(report, &mut text);
        }
        text.0
    }

    fn found(&self, report: &DriftReport, text: &mut Text) {
        if let (Some(policy), Some(version)) = (&report.policy, &report.version) {
            text.head(
                "tidegate_policy_info",
                "The policy that should be in force, and its version; always 1.",
            );
            let version = version.get(..12).unwrap_or(version);
            let labels = [("policy", policy.as_str()), ("version", version)];
            text.sample("tidegate_policy_info", &labels, 1);
        }
        text.head(
            "tidegate_drift_findings",
            "Differences between the machine and its policy that are left, by kind.",
        );
        for (kind, count) in by_kind(report) {
            text.sample("tidegate_drift_findings", &[("kind", kind.name())], count);
        }
        text.one(
            "tidegate_drift_repaired",
            "Differences that the last run of tidegate drift mended.",
            self.repaired,
        );
        if let Some(left) = report.waits {
            text.one(
                "tidegate_trial_remaining_seconds",
                "Time that is left to confirm the policy on trial; not there without one.",
                left,
            );
        }
    }
}

fn by_kind(report: &DriftReport) -> BTreeMap<DriftKind, usize> {
    let mut counts: BTreeMap<DriftKind, usize> =
        DriftKind::ALL.iter().map(|kind| (*kind, 0)).collect();
    for drift in &report.drifts {
        *counts.entry(drift.kind).or_default() += 1;
    }
    counts
}

#[derive(Debug, Default)]
struct Text(String);

impl Text {
    /// Writes a metric that is there once.
    fn one(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, help);
        self.sample(name, &[], value);
    }

    /// Every metric is a gauge: it says how things are, and each run starts anew.
    fn head(&mut self, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        let labels = match labels.as_slice() {
            [] => String::new(),
            labels => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

/// Escapes a label's value: a backslash, a quote and the end of a line.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::report::Drift;

    fn report() -> DriftReport {
        DriftReport {
            policy: Some("a \"shop\"\\\n.tide".to_owned()),
            version: Some("0123456789abcdef".to_owned()),
            drifts: vec![
                Drift::new(DriftKind::RuleGone),
                Drift::new(DriftKind::RuleGone),
            ],
            findings: Vec::new(),
            notes: Vec::new(),
            waits: Some(42),
        }
    }

    #[test]
    fn every_metric_has_help_and_a_type_and_labels_are_escaped() {
        let report = report();
        let look = Look {
            report: Some(&report),
            repaired: 3,
            status: 1,
            at: 1_764_200_000,
        };
        let text = look.metrics();
        let some = text.lines().filter(|line| !line.ends_with(" 0"));
        insta::assert_snapshot!(some.collect::<Vec<_>>().join("\n"), @r#"
        # HELP tidegate_exit_status Exit status of the last run of tidegate drift: 0 no drift, 1 drift, 3 and 4 the machine failed.
        # TYPE tidegate_exit_status gauge
        tidegate_exit_status 1
        # HELP tidegate_last_check_timestamp_seconds When tidegate drift last ran, in seconds since 1970.
        # TYPE tidegate_last_check_timestamp_seconds gauge
        tidegate_last_check_timestamp_seconds 1764200000
        # HELP tidegate_policy_info The policy that should be in force, and its version; always 1.
        # TYPE tidegate_policy_info gauge
        tidegate_policy_info{policy="a \"shop\"\\\n.tide",version="0123456789ab"} 1
        # HELP tidegate_drift_findings Differences between the machine and its policy that are left, by kind.
        # TYPE tidegate_drift_findings gauge
        tidegate_drift_findings{kind="rule-gone"} 2
        # HELP tidegate_drift_repaired Differences that the last run of tidegate drift mended.
        # TYPE tidegate_drift_repaired gauge
        tidegate_drift_repaired 3
        # HELP tidegate_trial_remaining_seconds Time that is left to confirm the policy on trial; not there without one.
        # TYPE tidegate_trial_remaining_seconds gauge
        tidegate_trial_remaining_seconds 42
        "#);
        let zero = text.lines().filter(|line| line.ends_with(" 0")).count();
        assert_eq!(zero, DriftKind::ALL.len() - 1);
    }

    #[test]
    fn a_machine_that_cannot_be_looked_at_has_no_findings_to_count() {
        let look = Look {
            report: None,
            repaired: 0,
            status: 3,
            at: 1,
        };
        let text = look.metrics();
        assert!(text.contains("\ntidegate_exit_status 3\n"), "{text}");
        assert!(!text.contains("findings"), "{text}");
    }
}
