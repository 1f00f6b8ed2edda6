//! What a command acts on: a machine, and a bundle or a policy given by path.

use std::path::Path;

use super::args::HostArgs;
use super::failure::{Failure, FailureKind};
use super::policy::{self, Checked, subject};
use crate::artifact::{Bundle, MANIFEST};
use crate::compile::{Subject, recovered};
use crate::deploy::Problem;
use crate::host::{self, FileKind, LinuxHost, Trust};

/// Returns the machine, if this process may change it.
pub(super) fn machine(args: &HostArgs) -> Result<LinuxHost, Failure> {
    if !host::is_root() {
        let help = "run it as root";
        return Err(Failure::new(
            FailureKind::Usage,
            "this needs root's rights",
            help,
        ));
    }
    Ok(LinuxHost::new(&args.root, args.iptables.into()))
}

/// Reads the bundle at `path`, every file once, and checks whose it is and that it is whole; a
/// policy is compiled under the same conditions.
pub(super) fn bundle(path: &Path, with: &policy::With<'_>) -> Result<Checked, Failure> {
    match host::kind(path) {
        FileKind::Absent => Err(absent(path)),
        FileKind::Folder => Ok(Checked {
            bundle: folder(path, with.host, Trust::Root)?,
            warnings: String::new(),
        }),
        FileKind::Other => {
            // Its thread is gone before anything is changed.
            let _moving = policy::compiling(path);
            let (Subject { bundle, .. }, warnings) = policy(path, with)?;
            Ok(Checked { bundle, warnings })
        }
    }
}

/// Like [`bundle`], with what is known of the policy.
pub(super) fn named(path: &Path, with: &policy::With<'_>) -> Result<(Subject, String), Failure> {
    match host::kind(path) {
        FileKind::Folder => Ok((named_folder(path, with.host, Trust::Root)?, String::new())),
        FileKind::Other => policy(path, with),
        FileKind::Absent => Err(absent(path)),
    }
}

fn absent(path: &Path) -> Failure {
    let message = format!("{} is not there", host::shown(path));
    let help = format!("give a policy, or the folder that holds {MANIFEST}");
    Failure::new(FailureKind::Usage, &message, &help)
}

/// Like [`folder`], with the names that the bundle's manifest keeps.
pub(super) fn named_folder(
    path: &Path,
    name: Option<&str>,
    trust: Trust,
) -> Result<Subject, Failure> {
    let bundle = folder(path, name, trust)?;
    let parties = bundle.parties().map_err(Problem::from)?;
    let policy = recovered(bundle.manifest(), parties).map_err(|error| {
        let help = "compile the policy again, or give the policy itself";
        Failure::new(FailureKind::No, &error.to_string(), help)
    })?;
    Ok(Subject { policy, bundle })
}

/// Reads the bundle in a folder, which must be for the host of a name where one is given.
pub(super) fn folder(path: &Path, name: Option<&str>, trust: Trust) -> Result<Bundle, Failure> {
    let files = host::read_folder(path, trust)?.unwrap_or_default();
    let bundle = Bundle::read(files).map_err(Problem::from)?;
    match name.filter(|name| *name != policy::name(&bundle)) {
        None => Ok(bundle),
        Some(name) => {
            let message = format!("{} is not a bundle for `{name}`", host::shown(path));
            let help = "give the bundle that was compiled for this machine";
            Err(Failure::new(FailureKind::Usage, &message, help))
        }
    }
}

/// Compiles a policy. Addresses that it needs and does not say come from the engine of this machine.
fn policy(path: &Path, with: &policy::With<'_>) -> Result<(Subject, String), Failure> {
    let socket = Path::new(host::SOCKET);
    let alone = with.inventory.is_some() || !policy::lacks_addresses(path)?;
    if alone || !host::engine_runs(socket) {
        return subject(path, with, Trust::Root, CONSEQUENCE);
    }
    let engine = policy::With {
        engine: Some(host::engine_inventory(socket)?),
        ..with.clone()
    };
    subject(path, &engine, Trust::Root, CONSEQUENCE)
}

const CONSEQUENCE: &str = "this machine stays as it is";
