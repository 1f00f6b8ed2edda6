//! `tidegate install` and `tidegate uninstall`.

use std::path::Path;

use super::args::{InstallArgs, UninstallArgs};
use super::failure::Failure;
use super::policy::Checked;
use super::{Done, notes, policy, target};
use crate::deploy;

pub(super) fn run(args: &InstallArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    let with = policy::With {
        host: args.host_name.as_deref(),
        inventory: args.inventory.as_deref(),
        ..policy::With::default()
    };
    let Checked { bundle, warnings } = target::bundle(&args.what, &with)?;
    deploy::install(&host, &bundle)?;
    let (policy, version) = (&bundle.manifest().policy, bundle.short_version());
    let mut lines = vec!["keep the policy itself in /etc/tidegate"];
    if args.host.root == Path::new("/") {
        lines.push(
            "put it in force now: systemctl start tidegate-guard tidegate tidegate-drift.timer",
        );
    }
    let text = format!("{policy}, version {version}: installed, in force from the next boot\n");
    let text = text + &notes(&lines);
    Ok(Done {
        text,
        warnings,
        yes: true,
    })
}

pub(super) fn remove(args: &UninstallArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    let left = deploy::uninstall(&host)?;
    let text = "rules, units and files of tidegate are gone\n".to_owned();
    Ok(Done::yes(text + &notes(&left)))
}
