//! What a command acts on: a machine, and a bundle given by path.

use std::path::Path;

use super::args::HostArgs;
use super::failure::{Failure, FailureKind};
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

/// Reads the bundle at `path`, every file once, and checks whose it is and that it is whole.
pub(super) fn bundle(path: &Path) -> Result<Bundle, Failure> {
    let message = |what| format!("{} is {what}", path.display());
    match host::kind(path) {
        FileKind::Absent => {
            let help = format!("give the folder that holds {MANIFEST}");
            Err(Failure::new(
                FailureKind::Usage,
                &message("not there"),
                &help,
            ))
        }
        FileKind::Folder => {
            let files = host::read_folder(path, Trust::Root)?.unwrap_or_default();
            Ok(Bundle::read(files).map_err(Problem::from)?)
        }
        FileKind::Other => {
            let help = "compile it first, then give the folder of its bundle";
            Err(Failure::new(FailureKind::Usage, &message("a policy"), help))
        }
    }
}
