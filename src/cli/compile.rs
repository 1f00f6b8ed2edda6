//! `tidegate compile`.

use serde_json::Value;

use super::args::CompileArgs;
use super::failure::Failure;
use super::{Done, policy};
use crate::artifact::Manifest;
use crate::host::{self, Trust};
use crate::netfilter::Family;

pub(super) fn run(args: &CompileArgs) -> Result<Done, Failure> {
    let checked = policy::checked(&args.policy, Trust::Anybody, "nothing is written")?;
    let bundle = &checked.bundle;
    host::write_bundle(&args.output, bundle.files())?;
    let rules = |family| {
        bundle
            .rules(family)
            .lines()
            .filter(|line| line.starts_with("-A"))
            .count()
    };
    let mut text = format!(
        "{}, version {}: {} IPv4 and {} IPv6 rules in {}\n",
        bundle.manifest().policy,
        bundle.short_version(),
        rules(Family::V4),
        rules(Family::V6),
        host::shown(&args.output)
    );
    text.push_str(&daemon(bundle.manifest()));
    Ok(Done {
        text,
        warnings: checked.warnings,
        yes: true,
    })
}

/// Says what the engine must be told before the policy is true, in the form of daemon.json.
fn daemon(manifest: &Manifest) -> String {
    if manifest.daemon.is_empty() {
        return String::new();
    }
    let line = |(key, value): (&String, &Value)| format!("  \"{key}\": {value}");
    let lines: Vec<String> = manifest.daemon.iter().map(line).collect();
    format!(
        "/etc/docker/daemon.json needs these before the policy is true:\n{}\n",
        lines.join(",\n")
    )
}
