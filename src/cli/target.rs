//! What a command acts on: a machine, and a bundle or a policy given by path.

use std::path::Path;

use super::args::HostArgs;
use super::failure::{Failure, FailureKind};
use super::policy::{self, Checked, subject};
use crate::artifact::{Bundle, MANIFEST};
use crate::compile::Subject;
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
        FileKind::Absent => {
            let message = format!("{} is not there", host::shown(path));
            let help = format!("give a policy, or the folder that holds {MANIFEST}");
            Err(Failure::new(FailureKind::Usage, &message, &help))
        }
        FileKind::Folder => {
            let files = host::read_folder(path, Trust::Root)?.unwrap_or_default();
            let bundle = Bundle::read(files).map_err(Problem::from)?;
            if let Some(name) = with.host.filter(|name| *name != policy::name(&bundle)) {
                let message = format!("{} is not a bundle for `{name}`", host::shown(path));
                let help = "give the bundle that was compiled for this machine";
                return Err(Failure::new(FailureKind::Usage, &message, help));
            }
            Ok(Checked {
                bundle,
                warnings: String::new(),
            })
        }
        FileKind::Other => {
            let (Subject { bundle, .. }, warnings) = policy(path, with)?;
            Ok(Checked { bundle, warnings })
        }
    }
}

/// Like [`bundle`], with the policy's names where it is a policy.
pub(super) fn named(
    path: &Path,
    with: &policy::With<'_>,
) -> Result<(Checked, Option<Subject>), Failure> {
    if host::kind(path) != FileKind::Other {
        return Ok((bundle(path, with)?, None));
    }
    let (subject, warnings) = policy(path, with)?;
    let bundle = subject.bundle.clone();
    Ok((Checked { bundle, warnings }, Some(subject)))
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
