//! `tidegate import`.

use std::path::Path;

use super::args::ImportArgs;
use super::failure::{Failure, FailureKind};
use super::{Done, compose, policy};
use crate::compile::Compiled;
use crate::facts::Facts;
use crate::host::{self, FileKind, Progress, Trust};
use crate::import;

pub(super) fn run(args: &ImportArgs) -> Result<Done, Failure> {
    let inventory = inventory(args)?;
    let draft = if args.compose.is_empty() {
        import::from_engine(&inventory.unwrap_or_default())
    } else {
        let project = compose::project(&args.compose, &args.project)?;
        let mut draft = import::from_compose(&project, &compose::origin(&args.compose));
        if let Some(inventory) = &inventory {
            import::fill(&mut draft, inventory);
        }
        draft
    };
    if draft.networks.is_empty() {
        let message = format!("{} has no network that a policy could govern", draft.origin);
        let help = "a policy is about bridge networks and the containers on them";
        return Err(Failure::new(FailureKind::No, &message, help));
    }
    let text =
        import::policy(&draft).map_err(|compiled| contradiction(&draft.origin, &compiled))?;
    let Some(path) = &args.output else {
        return Ok(Done::yes(text));
    };
    if host::kind(path) != FileKind::Absent {
        let message = format!("{} is there already", host::shown(path));
        return Err(Failure::new(
            FailureKind::Usage,
            &message,
            "name a new file, or print and compare",
        ));
    }
    host::write_file(path, &text)?;
    let help = "read it, choose, then `tidegate check` it";
    Ok(Done::yes(format!(
        "{} is written; {help}\n",
        host::shown(path)
    )))
}

/// What is written there cannot be said in a policy, such as two networks with one subnet.
fn contradiction(origin: &str, compiled: &Compiled) -> Failure {
    let found = policy::shown(compiled, Path::new(""));
    Failure {
        kind: FailureKind::No,
        text: format!("{found}error: {origin} cannot be a policy as it is; nothing is written\n"),
    }
}

fn inventory(args: &ImportArgs) -> Result<Option<Facts>, Failure> {
    if args.engine {
        let _moving = Progress::on_terminal().moving("asking the engine");
        return Ok(Some(host::engine_inventory(&args.socket)?));
    }
    let file = args.inventory.as_deref();
    file.map(|path| policy::read_inventory(path, Trust::Anybody))
        .transpose()
}
