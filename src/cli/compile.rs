//! `tidegate compile`.

use super::args::CompileArgs;
use super::failure::Failure;
use super::{Done, policy};
use crate::host::{self, Trust};
use crate::netfilter::Family;

pub(super) fn run(args: &CompileArgs) -> Result<Done, Failure> {
    let checked = policy::checked(&args.policy, Trust::Anybody, "nothing is written")?;
    let bundle = &checked.bundle;
    host::write_bundle(&args.output, bundle.files())?;
    let rules = |family| {
        bundle
            .rules(family)
            .lines()
            .filter(|line| line.starts_with("-A"))
            .count()
    };
    let text = format!(
        "{}, version {}: {} IPv4 and {} IPv6 rules in {}\n",
        bundle.manifest().policy,
        bundle.short_version(),
        rules(Family::V4),
        rules(Family::V6),
        host::shown(&args.output)
    );
    Ok(Done {
        text,
        warnings: checked.warnings,
        yes: true,
    })
}
