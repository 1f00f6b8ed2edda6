//! `tidegate apply`.

use super::args::ApplyArgs;
use super::failure::Failure;
use super::{Done, notes, target};
use crate::deploy::{self, Options};

pub(super) fn run(args: &ApplyArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    let options = Options { boot: args.boot };
    let (bundle, outcome) = match &args.what {
        None => deploy::apply_installed(&host, options)?,
        Some(path) => {
            let bundle = target::bundle(path)?;
            let outcome = deploy::apply(&host, &bundle, options)?;
            (bundle, outcome)
        }
    };
    let state = if outcome.changed {
        "in force"
    } else {
        "already in force"
    };
    let (policy, version) = (&bundle.manifest().policy, bundle.short_version());
    let line = format!("{policy}, version {version}: {state}\n");
    Ok(Done::yes(line + &notes(&outcome.notes)))
}
