//! Whether the engine that runs is the one that a bundle was compiled for.

use std::fmt;

use serde_json::Value;

use super::error::Problem;
use crate::artifact::Manifest;
use crate::facts::Daemon;
use crate::host::{EngineFacts, Host};

/// What an engine has otherwise than the bundle takes it to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatches {
    /// The policy would not be true.
    pub errors: Vec<Mismatch>,
    pub notes: Vec<String>,
}

/// One thing that makes the policy untrue, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    pub seen: String,
    pub remedy: String,
}

impl Mismatch {
    fn new(seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Mismatch {
            seen: seen.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.seen, self.remedy)
    }
}

const DAEMON_JSON: &str = "/etc/docker/daemon.json";

/// Compares the engine that runs with a bundle; without one there is nothing to say. An engine that
/// does not answer is a note: rules must not wait for it.
pub fn look(host: &dyn Host, manifest: &Manifest) -> Result<Mismatches, Problem> {
    match host.engine() {
        Ok(None) => Ok(Mismatches::default()),
        Ok(Some(facts)) => {
            let file = host.read_linked(DAEMON_JSON)?;
            Ok(mismatches(manifest, &facts, file.as_deref()))
        }
        Err(error) => Ok(Mismatches {
            errors: Vec::new(),
            notes: vec![format!("{error}; its settings were not compared")],
        }),
    }
}

fn writes_rules(daemon: &Daemon<'_>) -> bool {
    daemon.setting("iptables").as_deref() != Some("false")
}

/// Compares the engine with the bundle; `file` is the text of its daemon.json.
///
/// A daemon.json that cannot be read says nothing: the engine itself would not have started.
fn mismatches(manifest: &Manifest, facts: &EngineFacts, file: Option<&str>) -> Mismatches {
    let file: Value = file
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let daemon = Daemon {
        options: &facts.options,
        file: &file,
    };
    let mut found = Mismatches::default();
    let wanted: Vec<&str> = manifest.engine.split(' ').collect();
    match wanted.as_slice() {
        ["none"] if writes_rules(&daemon) => found.errors.push(Mismatch::new(
            "the policy says `engine none`, and Docker writes rules of its own",
            "start it with `\"iptables\": false, \"ip6tables\": false`, or write `engine docker`",
        )),
        ["none"] => {}
        _ if !writes_rules(&daemon) => found.errors.push(Mismatch::new(
            "Docker runs with `iptables` off, so that nobody publishes ports",
            "write `engine none` in the policy, or take the setting out",
        )),
        words => docker(words, facts, &mut found),
    }
    for (key, value) in &manifest.daemon {
        found.errors.extend(needed(&daemon, key, value));
    }
    found
}

fn docker(words: &[&str], facts: &EngineFacts, found: &mut Mismatches) {
    match (words.contains(&"nftables"), facts.nftables) {
        // Links and routed access would stay closed, and `forward drop` cut published ports.
        (false, true) => found.errors.push(Mismatch::new(
            "Docker writes its rules with nftables, and the policy was compiled for iptables",
            "write `engine docker nftables` in the policy",
        )),
        (true, false) => found.errors.push(Mismatch::new(
            "Docker writes its rules with iptables, and the policy was compiled for nftables",
            "leave out `nftables` in the policy",
        )),
        _ => {}
    }
    let Some(live) = version(&facts.version) else {
        return;
    };
    let said = words.get(1).and_then(|word| version(word));
    let early = (17, 6);
    if live < early && said.is_none_or(|said| said >= early) {
        found.errors.push(Mismatch::new(
            format!(
                "Docker {} has no DOCKER-USER, where grants would be accepted",
                facts.version
            ),
            format!("write `engine docker {}.{}` in the policy", live.0, live.1),
        ));
    } else if let Some(said) = said.filter(|said| *said != live) {
        found.notes.push(format!(
            "Docker is {}, and the policy says {}.{}",
            facts.version, said.0, said.1
        ));
    }
}

/// Returns what is wrong with a setting that the policy cannot do without.
fn needed(daemon: &Daemon<'_>, key: &str, value: &Value) -> Option<Mismatch> {
    let wanted = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let now = daemon.setting(key);
    if now.as_ref() == Some(&wanted) {
        return None;
    }
    let now = now.unwrap_or_else(|| "not set".to_owned());
    Some(Mismatch::new(
        format!("Docker's `{key}` is {now}, and the policy needs {wanted}"),
        format!("write `\"{key}\": {value}` in {DAEMON_JSON}"),
    ))
}

/// Reads major and minor of `28.5.2` or `17.06`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
