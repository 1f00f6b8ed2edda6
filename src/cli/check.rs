//! `tidegate check`.

use super::args::{CheckArgs, Format};
use super::failure::{Failure, FailureKind};
use super::{Done, policy};
use crate::diag::{Severity, json};
use crate::host::Trust;

pub(super) fn run(args: &CheckArgs) -> Result<Done, Failure> {
    if args.format == Format::Json {
        let compiled = policy::read(&args.policy, Trust::Anybody)?;
        let base = policy::base(&args.policy);
        return Ok(Done {
            text: json::render_json(&compiled.diagnostics, &compiled.sources, &base),
            warnings: String::new(),
            yes: !compiled.has_errors(),
        });
    }
    let compiled = policy::read(&args.policy, Trust::Anybody)?;
    let text = policy::shown(&compiled, &args.policy);
    let count = |severity, word| policy::count(&compiled.diagnostics, severity, word);
    let name = args.policy.display();
    if compiled.has_errors() {
        let text = format!(
            "{text}error: {name} has {}\n",
            count(Severity::Error, "mistake")
        );
        return Err(Failure {
            kind: FailureKind::No,
            text,
        });
    }
    let line = format!(
        "{name}: no mistakes, {}\n",
        count(Severity::Warning, "warning")
    );
    Ok(Done {
        text: line,
        warnings: text,
        yes: true,
    })
}
