//! `tidegate drift`.

use super::Done;
use super::args::{DriftArgs, Format};
use super::failure::Failure;
use super::target;
use crate::deploy::{self, report::DriftReport};

pub(super) fn run(args: &DriftArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    if !args.repair {
        let report = deploy::drift(&host)?;
        return Ok(Done {
            text: shown(&report, args.format),
            warnings: String::new(),
            yes: report.is_clean(),
        });
    }
    let (before, after) = deploy::repair(&host)?;
    Ok(Done {
        text: repaired(&before, &after, args.format),
        warnings: String::new(),
        yes: after.is_clean(),
    })
}

fn shown(report: &DriftReport, format: Format) -> String {
    match format {
        Format::Json => report.json(),
        Format::Text => report.text(),
    }
}

/// Tells people what was wrong and what is; programs get one report, what is left.
fn repaired(before: &DriftReport, after: &DriftReport, format: Format) -> String {
    match format {
        Format::Text if !before.is_clean() => {
            format!("{}after repair:\n{}", before.text(), after.text())
        }
        Format::Json | Format::Text => shown(after, format),
    }
}
