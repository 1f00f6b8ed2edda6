//! What a command acts on: a machine, and a bundle or a policy given by path.

use std::path::Path;

use super::args::HostArgs;
use super::failure::{Failure, FailureKind};
use super::policy::{self, Checked, checked};
use crate::artifact::{Bundle, MANIFEST};
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
pub(super) fn bundle(path: &Path, from: &policy::From<'_>) -> Result<Checked, Failure> {
    match host::kind(path) {
        FileKind::Absent => {
            let message = format!("{} is not there", host::shown(path));
            let help = format!("give a policy, or the folder that holds {MANIFEST}");
            Err(Failure::new(FailureKind::Usage, &message, &help))
        }
        FileKind::Folder => {
            let files = host::read_folder(path, Trust::Root)?.unwrap_or_default();
            let bundle = Bundle::read(files).map_err(Problem::from)?;
            if let Some(name) = from.host.filter(|name| *name != policy::name(&bundle)) {
                let message = format!("{} is not a bundle for `{name}`", host::shown(path));
                let help = "give the bundle that was compiled for this machine";
                return Err(Failure::new(FailureKind::Usage, &message, help));
            }
            Ok(Checked {
                bundle,
                warnings: String::new(),
            })
        }
        FileKind::Other => checked(path, from, Trust::Root, "this machine stays as it is"),
    }
}
