//! `tidegate drift`.

use std::io;

use super::args::{DriftArgs, DriftFormat};
use super::failure::Failure;
use super::target;
use super::{Done, beside};
use crate::deploy::metrics::Look;
use crate::deploy::{self, report::DriftReport};
use crate::diag::code;
use crate::host::{self, Host, LinuxHost, Urgency};

/// What was mended is in force again: that is no failure, but nothing to be silent about.
pub(super) fn run(args: &DriftArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    let looked = look(&host, args.repair);
    let beside = beside::note(&host);
    match looked {
        Ok((mut before, mut after)) => {
            for report in [&mut before, &mut after] {
                report.notes.extend(beside.clone());
            }
            done(args, &before, &after, host.time_of_day())
        }
        Err(failure) => Err(failed(args, failure, host.time_of_day())),
    }
}

/// Returns what was found, and what is left of it.
fn look(host: &LinuxHost, repair: bool) -> Result<(DriftReport, DriftReport), Failure> {
    if repair {
        // Its start is one of the occasions for a repair.
        host::await_firewalld();
        return Ok(deploy::repair(host)?);
    }
    let report = deploy::drift(host)?;
    Ok((report.clone(), report))
}

fn done(
    args: &DriftArgs,
    before: &DriftReport,
    after: &DriftReport,
    at: u64,
) -> Result<Done, Failure> {
    let yes = after.is_clean();
    let shown = match args.format {
        DriftFormat::Json => after.json(),
        DriftFormat::Prometheus => metrics(before, after, at),
        DriftFormat::Text => text(before, after),
    };
    let text = match &args.output {
        Some(file) => {
            host::write_file(file, &shown)?;
            told(before, after)
        }
        None if args.format == DriftFormat::Text => told(before, after),
        None => shown,
    };
    Ok(Done {
        text,
        warnings: String::new(),
        yes,
        ..Done::default()
    })
}

/// Has the metrics say that nothing could be found out: old ones would look as if all were well.
fn failed(args: &DriftArgs, mut failure: Failure, at: u64) -> Failure {
    if args.format != DriftFormat::Prometheus {
        return failure;
    }
    let look = Look {
        report: None,
        repaired: 0,
        status: failure.kind.status(),
        at,
    };
    let Some(file) = &args.output else {
        // A reader that is gone is told by the exit status.
        let _ = host::print(io::stdout().lock(), &look.metrics());
        return failure;
    };
    if let Err(second) = host::write_file(file, &look.metrics()) {
        failure.text.push_str(&Failure::from(second).text);
    }
    failure
}

fn metrics(before: &DriftReport, after: &DriftReport, at: u64) -> String {
    let look = Look {
        report: Some(after),
        repaired: before.drifts.len().saturating_sub(after.drifts.len()),
        status: u8::from(!after.is_clean()),
        at,
    };
    look.metrics()
}

/// Tells people what was wrong and what is.
fn text(before: &DriftReport, after: &DriftReport) -> String {
    if before.is_clean() || before == after {
        return after.text();
    }
    format!("{}after repair:\n{}", before.text(), after.text())
}

/// Returns the text for people, unless the journal has it now.
fn told(before: &DriftReport, after: &DriftReport) -> String {
    let urgency = match (before.is_clean(), after.is_clean()) {
        (true, true) => Urgency::Info,
        (false, true) => Urgency::Warning,
        (_, false) => Urgency::Error,
    };
    let mut fields = host::policy_fields(after.policy.as_deref(), after.version.as_deref());
    for drift in &before.drifts {
        fields.push(("TIDEGATE_DRIFT", drift.kind.name().to_owned()));
    }
    if !before.is_clean() {
        fields.push(("TIDEGATE_CODE", code::DRIFTED.to_string()));
    }
    host::for_journal(io::stdout(), &text(before, after), urgency, &fields)
}
