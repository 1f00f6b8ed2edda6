//! `tidegate apply`.

use super::args::ApplyArgs;
use super::failure::Failure;
use super::policy::Checked;
use super::{Done, notes, policy, target};
use crate::deploy::{self, Options};

pub(super) fn run(args: &ApplyArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    let options = Options {
        boot: args.boot,
        ..Options::default()
    };
    let with = policy::With {
        host: args.host_name.as_deref(),
        inventory: args.inventory.as_deref(),
        ..policy::With::default()
    };
    let (bundle, warnings, outcome) = match &args.what {
        None => {
            let (bundle, outcome) = deploy::apply_installed(&host, options)?;
            (bundle, String::new(), outcome)
        }
        Some(path) => {
            let Checked { bundle, warnings } = target::bundle(path, &with)?;
            let outcome = deploy::apply(&host, &bundle, options)?;
            (bundle, warnings, outcome)
        }
    };
    let state = if outcome.changed {
        "in force"
    } else {
        "already in force"
    };
    let (policy, version) = (&bundle.manifest().policy, bundle.short_version());
    let line = format!("{policy}, version {version}: {state}\n");
    let text = line + &notes(&outcome.notes);
    Ok(Done {
        text,
        warnings,
        yes: true,
    })
}
