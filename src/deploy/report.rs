//! What drift finds, as data, as text for people and as JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::diag::finding::{Finding, Weight};
use crate::netfilter::{Family, Table};

/// What kind of thing differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriftKind {
    BundleDamaged,
    ChainMissing,
    ChainStranger,
    DockerUserMissing,
    DockerUserUnreached,
    FileChanged,
    FileMissing,
    FileStranger,
    ForwardPolicy,
    HookDoubled,
    HookMissing,
    HookMisplaced,
    HookStranger,
    ModuleMissing,
    RouteMissing,
    RuleAdded,
    RuleChanged,
    RuleGone,
    RulesReordered,
    SysctlDiffers,
    SysctlMissing,
    Unconfirmed,
}

impl DriftKind {
    /// Every kind.
    pub const ALL: &'static [DriftKind] = &[
        DriftKind::BundleDamaged,
        DriftKind::ChainMissing,
        DriftKind::ChainStranger,
        DriftKind::DockerUserMissing,
        DriftKind::DockerUserUnreached,
        DriftKind::FileChanged,
        DriftKind::FileMissing,
        DriftKind::FileStranger,
        DriftKind::ForwardPolicy,
        DriftKind::HookDoubled,
        DriftKind::HookMissing,
        DriftKind::HookMisplaced,
        DriftKind::HookStranger,
        DriftKind::ModuleMissing,
        DriftKind::RouteMissing,
        DriftKind::RuleAdded,
        DriftKind::RuleChanged,
        DriftKind::RuleGone,
        DriftKind::RulesReordered,
        DriftKind::SysctlDiffers,
        DriftKind::SysctlMissing,
        DriftKind::Unconfirmed,
    ];

    /// Returns its name for programs, as in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            DriftKind::BundleDamaged => "bundle-damaged",
            DriftKind::ChainMissing => "chain-missing",
            DriftKind::ChainStranger => "chain-stranger",
            DriftKind::DockerUserMissing => "docker-user-missing",
            DriftKind::DockerUserUnreached => "docker-user-unreached",
            DriftKind::FileChanged => "file-changed",
            DriftKind::FileMissing => "file-missing",
            DriftKind::FileStranger => "file-stranger",
            DriftKind::ForwardPolicy => "forward-policy",
            DriftKind::HookDoubled => "hook-doubled",
            DriftKind::HookMissing => "hook-missing",
            DriftKind::HookMisplaced => "hook-misplaced",
            DriftKind::HookStranger => "hook-stranger",
            DriftKind::ModuleMissing => "module-missing",
            DriftKind::RouteMissing => "route-missing",
            DriftKind::RuleAdded => "rule-added",
            DriftKind::RuleChanged => "rule-changed",
            DriftKind::RuleGone => "rule-gone",
            DriftKind::RulesReordered => "rules-reordered",
            DriftKind::SysctlDiffers => "sysctl-differs",
            DriftKind::SysctlMissing => "sysctl-missing",
            DriftKind::Unconfirmed => "unconfirmed",
        }
    }

    /// Returns what happened in words.
    pub fn title(self) -> &'static str {
        match self {
            DriftKind::BundleDamaged => "installed bundle damaged",
            DriftKind::ChainMissing => "chain gone",
            DriftKind::ChainStranger => "chain of nobody",
            DriftKind::DockerUserMissing => "DOCKER-USER gone",
            DriftKind::DockerUserUnreached => "DOCKER-USER not reached from FORWARD",
            DriftKind::FileChanged => "file changed",
            DriftKind::FileMissing => "file gone",
            DriftKind::FileStranger => "file that should not be there",
            DriftKind::ForwardPolicy => "FORWARD's policy differs",
            DriftKind::HookDoubled => "hook there more than once",
            DriftKind::HookMissing => "hook gone",
            DriftKind::HookMisplaced => "hook not in its place",
            DriftKind::HookStranger => "hook that should not be there",
            DriftKind::ModuleMissing => "kernel module not loaded",
            DriftKind::RouteMissing => "route not there",
            DriftKind::RuleAdded => "rule added",
            DriftKind::RuleChanged => "rule changed",
            DriftKind::RuleGone => "rule gone",
            DriftKind::RulesReordered => "rules in another order",
            DriftKind::SysctlDiffers => "kernel setting differs",
            DriftKind::SysctlMissing => "kernel setting not there",
            DriftKind::Unconfirmed => "bundle that nobody confirmed still in force",
        }
    }
}

/// One thing that is not as the bundle has it; what does not apply is left out of the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    pub kind: DriftKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// The rule's number in its chain, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// The policy's line, `file:line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What it is about in the policy's words, or the name of the file or setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

impl Drift {
    pub fn new(kind: DriftKind) -> Self {
        Drift {
            kind,
            family: None,
            table: None,
            chain: None,
            rule: None,
            source: None,
            says: None,
            wanted: None,
            found: None,
        }
    }

    /// Returns one about a chain.
    pub fn of_chain(kind: DriftKind, family: Family, table: Table, chain: &str) -> Self {
        Drift {
            family: Some(family),
            table: Some(table),
            chain: Some(chain.to_owned()),
            ..Drift::new(kind)
        }
    }

    #[must_use]
    pub fn says(mut self, words: impl Into<String>) -> Self {
        self.says = Some(words.into());
        self
    }

    #[must_use]
    pub fn wanted(mut self, text: impl Into<String>) -> Self {
        self.wanted = Some(text.into());
        self
    }

    #[must_use]
    pub fn found(mut self, text: impl Into<String>) -> Self {
        self.found = Some(text.into());
        self
    }

    fn heading(&self) -> String {
        let place = self.source.iter().map(|source| format!("{source}: "));
        let says = self.says.iter().map(|says| format!(": {says}"));
        let title = self.kind.title().to_owned();
        place.chain([title]).chain(says).collect()
    }

    /// Returns `IPv4 mangle TIDE-shop-in, rule 3`, as much of it as is known.
    fn location(&self) -> Option<String> {
        let (family, table) = (self.family?, self.table?);
        let chain = self.chain.iter().map(|chain| format!(" {chain}"));
        let rule = self.rule.iter().map(|rule| format!(", rule {rule}"));
        let parts = [format!("{family} {table}")].into_iter();
        Some(parts.chain(chain).chain(rule).collect())
    }

    fn write(&self, text: &mut String) {
        let _ = writeln!(text, "{}", self.heading());
        if let Some(location) = self.location() {
            let _ = writeln!(text, "    {location}");
        }
        for (mark, lines) in [('-', &self.wanted), ('+', &self.found)] {
            for line in lines.iter().flat_map(|lines| lines.lines()) {
                let _ = writeln!(text, "    {mark} {line}");
            }
        }
    }
}

/// How a machine differs from its installed bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DriftReport {
    /// The main policy file; nothing where the bundle cannot be read.
    pub policy: Option<String>,
    /// The policy's version, in 64 hex digits.
    pub version: Option<String>,
    pub drifts: Vec<Drift>,
    /// What runs otherwise than the policy says; the worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    pub notes: Vec<String>,
    /// Seconds that a confirmation is waited for; nothing where none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<u64>,
}

impl DriftReport {
    pub fn is_clean(&self) -> bool {
        self.drifts.is_empty() && self.count(Weight::Error) + self.count(Weight::Warning) == 0
    }

    fn count(&self, weight: Weight) -> usize {
        let same = self.findings.iter().filter(|it| it.weight == weight);
        same.count()
    }

    /// Returns the report for people, one paragraph a difference; `-` is what should be, `+` what is.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for drift in &self.drifts {
            drift.write(&mut text);
        }
        for finding in &self.findings {
            text.push_str(&finding.text());
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        let _ = writeln!(text, "{}", self.summary());
        text
    }

    fn summary(&self) -> String {
        let version = self.version.as_deref().and_then(|hex| hex.get(..12));
        let policy = match (&self.policy, version) {
            (Some(policy), Some(version)) => format!("{policy}, version {version}"),
            _ => "the installed bundle".to_owned(),
        };
        let counted = [
            (self.drifts.len(), "difference"),
            (self.count(Weight::Error), "error"),
            (self.count(Weight::Warning), "warning"),
        ];
        let counted = counted.into_iter().filter(|(count, _)| *count > 0);
        let counted: Vec<String> = counted.map(|(count, noun)| plural(count, noun)).collect();
        match counted.as_slice() {
            [] => format!("{policy}: in force, no drift"),
            all => format!("{policy}: {}", all.join(", ")),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> DriftReport {
        let gone = Drift {
            rule: Some(4),
            source: Some("shop.tide:23".to_owned()),
            ..Drift::of_chain(
                DriftKind::RuleGone,
                Family::V4,
                Table::Mangle,
                "TIDE-shop-in",
            )
        };
        let gone = gone
            .says("office may reach db : 9187/tcp")
            .wanted("-s 203.0.113.0/24 -j RETURN");
        let sysctl = Drift::new(DriftKind::SysctlDiffers)
            .says("net.ipv4.conf.all.forwarding")
            .wanted("1")
            .found("0");
        DriftReport {
            policy: Some("shop.tide".to_owned()),
            version: Some("0123456789abcdef".to_owned()),
            drifts: vec![gone, sysctl],
            findings: Vec::new(),
            notes: Vec::new(),
            waits: None,
        }
    }

    #[test]
    fn text_tells_the_policy_line_and_the_rule() {
        insta::assert_snapshot!(report().text(), @r"
        shop.tide:23: rule gone: office may reach db : 9187/tcp
            IPv4 mangle TIDE-shop-in, rule 4
            - -s 203.0.113.0/24 -j RETURN
        kernel setting differs: net.ipv4.conf.all.forwarding
            - 1
            + 0
        shop.tide, version 0123456789ab: 2 differences
        ");
    }

    #[test]
    fn json_leaves_out_what_does_not_apply() {
        let json: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
        assert_eq!(json["drifts"][0]["kind"], "rule-gone");
        assert_eq!(json["drifts"][0]["table"], "mangle");
        assert!(json["drifts"][1].get("table").is_none());
    }

    #[test]
    fn every_kind_has_the_name_that_the_json_gives_it() {
        let mut names: Vec<&str> = DriftKind::ALL.iter().map(|kind| kind.name()).collect();
        for kind in DriftKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        names.dedup();
        assert_eq!(names.len(), DriftKind::ALL.len());
    }
}
