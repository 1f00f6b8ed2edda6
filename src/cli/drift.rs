//! `tidegate drift`.

use std::io;

use super::Done;
use super::args::{DriftArgs, Format};
use super::failure::Failure;
use super::target;
use crate::deploy::{self, report::DriftReport};
use crate::host::{self, Urgency};

/// What was mended is in force again: that is no failure, but nothing to be silent about.
pub(super) fn run(args: &DriftArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    if !args.repair {
        let report = deploy::drift(&host)?;
        let yes = report.is_clean();
        return Ok(done(shown(&report, args.format), yes, yes, args.format));
    }
    let (before, after) = deploy::repair(&host)?;
    let text = repaired(&before, &after, args.format);
    Ok(done(text, before.is_clean(), after.is_clean(), args.format))
}

fn done(text: String, was_clean: bool, is_clean: bool, format: Format) -> Done {
    let urgency = match (was_clean, is_clean) {
        (true, true) => Urgency::Info,
        (false, true) => Urgency::Warning,
        (_, false) => Urgency::Error,
    };
    let text = match format {
        Format::Json => text,
        Format::Text => host::for_journal(io::stdout(), &text, urgency),
    };
    Done {
        text,
        warnings: String::new(),
        yes: is_clean,
    }
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
