//! `tidegate compile`.

use std::path::Path;

use serde_json::Value;

use super::args::CompileArgs;
use super::failure::Failure;
use super::{Done, levels, policy};
use crate::artifact::{Bundle, Manifest};
use crate::compile::{How, Proof, Rules};
use crate::host::{self, Trust};
use crate::netfilter::Family;

const CONSEQUENCE: &str = "nothing is written";

pub(super) fn run(args: &CompileArgs) -> Result<Done, Failure> {
    let levels = levels::read(&args.levels)?;
    let proof = if args.unproven {
        Proof::Omitted
    } else {
        Proof::Needed
    };
    let rules = if args.no_optimise {
        Rules::Plain
    } else {
        Rules::Optimised
    };
    let how = How {
        proof,
        rules,
        lints: true,
    };
    let inventory = args.inventory.as_deref();
    let moving = policy::compiling(&args.policy);
    let mut compiled = policy::read(&args.policy, inventory, Trust::Anybody, how)?;
    drop(moving);
    compiled.judge(&levels);
    let (bundles, warnings) = if args.all_hosts {
        policy::all(&args.policy, compiled, CONSEQUENCE)?
    } else {
        let host = args.host_name.as_deref();
        let (subject, warnings) = policy::of_host(&args.policy, compiled, host, CONSEQUENCE)?;
        (vec![subject.bundle], warnings)
    };
    let mut text = String::new();
    for bundle in &bundles {
        let output = if args.all_hosts {
            args.output.join(policy::name(bundle))
        } else {
            args.output.clone()
        };
        host::write_bundle(&output, bundle.files())?;
        text.push_str(&written(bundle, &output));
    }
    Ok(Done {
        text,
        warnings,
        yes: true,
        ..Done::default()
    })
}

fn written(bundle: &Bundle, output: &Path) -> String {
    let rules = |family| {
        let lines = bundle.rules(family).lines();
        lines.filter(|line| line.starts_with("-A")).count()
    };
    let host = match policy::name(bundle).as_str() {
        "" => String::new(),
        name => format!(" for {name}"),
    };
    let line = format!(
        "{}{host}, version {}: {} IPv4 and {} IPv6 rules in {}\n",
        bundle.manifest().policy,
        bundle.short_version(),
        rules(Family::V4),
        rules(Family::V6),
        host::shown(output)
    );
    line + &daemon(bundle.manifest())
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
