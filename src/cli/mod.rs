//! The commands: each reads its arguments, calls the library and says what came of it.

mod apply;
pub mod args;
mod beside;
mod bug;
mod check;
mod compile;
mod compose;
mod confirm;
mod diff;
mod doctor;
mod drift;
mod explain;
pub mod failure;
mod fmt;
mod generated;
mod graph;
mod import;
mod install;
mod inventory;
mod levels;
mod lsp;
mod matrix;
mod plan;
mod policy;
mod report;
mod roff;
mod side;
mod target;
mod trace;
mod watch;

use std::ffi::OsString;
use std::io;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use args::{Cli, Verb};
use failure::{Failure, FailureKind};

use crate::host::{self, Urgency};

/// What a command has to say when it did what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// For standard output.
    text: String,
    /// For standard error.
    warnings: String,
    /// Whether the answer is yes, or exit status 0; else it is 1.
    yes: bool,
    /// Whether a yes means that something would change, or exit status 2.
    changes: bool,
}

impl Done {
    fn yes(text: String) -> Self {
        Done {
            text,
            yes: true,
            ..Done::default()
        }
    }
}

impl Done {
    fn status(&self) -> u8 {
        match (self.yes, self.changes) {
            (false, _) => FailureKind::No.status(),
            (true, true) => CHANGES,
            (true, false) => 0,
        }
    }
}

/// The exit status of a plan that would change something.
const CHANGES: u8 = 2;
/// The exit status of a bug, `EX_SOFTWARE` of `sysexits.h`.
const BUG: u8 = 70;

/// Runs the command, prints what came of it, and returns its exit status.
pub fn run(cli: &Cli) -> ExitCode {
    std::panic::set_hook(Box::new(bug::say));
    // Nothing is looked at after a panic, so nothing half done can be seen.
    match std::panic::catch_unwind(AssertUnwindSafe(|| run_verb(&cli.verb))) {
        Ok(Ok(done)) => said(&done, acts(&cli.verb)),
        Ok(Err(failure)) => failed(&failure),
        Err(_) => ExitCode::from(BUG),
    }
}

/// Says what is wrong with a command line, or what was asked of it, and returns the exit status: never that
/// of a plan that would change something.
pub fn refuse(error: &clap::Error, verb: Option<OsString>) -> ExitCode {
    // With standard error gone, the exit status has to do.
    let _ = error.print();
    let status = u8::try_from(error.exit_code()).unwrap_or(FailureKind::Usage.status());
    if status != 0 && verb.is_some_and(|it| it == "plan") {
        return ExitCode::from(FailureKind::No.status());
    }
    ExitCode::from(status)
}

fn run_verb(verb: &Verb) -> Result<Done, Failure> {
    match verb {
        Verb::Apply(args) => apply::run(args),
        Verb::AwaitConfirmation(args) => confirm::wait(args),
        Verb::Check(args) => check::run(args),
        Verb::Compile(args) => compile::run(args),
        Verb::Completions(args) => Ok(generated::completions(args)),
        Verb::Confirm(args) => confirm::run(args),
        Verb::Diff(args) => diff::run(args),
        Verb::Doctor(args) => doctor::run(args),
        Verb::Drift(args) => drift::run(args),
        Verb::Explain(args) => explain::run(args),
        Verb::Fmt(args) => fmt::run(args),
        Verb::Graph(args) => graph::run(args),
        Verb::Import(args) => import::run(args),
        Verb::Inventory(args) => inventory::run(args),
        Verb::Install(args) => install::run(args),
        Verb::Lsp => lsp::run(),
        Verb::Manual(args) => generated::manual(args),
        Verb::Matrix(args) => matrix::run(args),
        Verb::Plan(args) => plan::run(args),
        Verb::Report(args) => report::run(args),
        Verb::Rollback(args) => confirm::rollback(args),
        Verb::Status(args) => confirm::status(args),
        Verb::Trace(args) => trace::run(args),
        Verb::Uninstall(args) => install::remove(args),
        Verb::Watch(args) => watch::run(args),
    }
}

/// Returns whether a command is run for what it does, not for what it prints.
fn acts(verb: &Verb) -> bool {
    match verb {
        Verb::Apply(_) | Verb::Compile(_) | Verb::Install(_) | Verb::Uninstall(_) => true,
        Verb::Drift(args) => args.repair,
        _ => false,
    }
}

fn said(done: &Done, acts: bool) -> ExitCode {
    // Losing warnings is no reason to fail.
    let warnings = host::for_journal(io::stderr(), &done.warnings, Urgency::Warning, &[]);
    let _ = host::print_coloured(anstream::stderr().lock(), &warnings);
    let answer = ExitCode::from(done.status());
    match host::print(io::stdout().lock(), &done.text) {
        Ok(()) => answer,
        Err(error) => {
            let message = format!("cannot write to standard output: {}", host::reason(&error));
            if acts {
                let text = format!("warning: {message}\nnote: what was asked for is done\n");
                let text = host::for_journal(io::stderr(), &text, Urgency::Warning, &[]);
                let _ = host::print_coloured(anstream::stderr().lock(), &text);
                return answer;
            }
            let help = "look where it leads: a full disk?";
            failed(&Failure::new(FailureKind::Host, &message, help))
        }
    }
}

fn failed(failure: &Failure) -> ExitCode {
    // With standard error gone too, the exit status has to do.
    let text = host::for_journal(io::stderr(), &failure.text, Urgency::Error, &[]);
    let _ = host::print_coloured(anstream::stderr().lock(), &text);
    failure.exit_code()
}

fn notes(notes: &[impl AsRef<str>]) -> String {
    let line = |note: &_| format!("note: {}\n", AsRef::<str>::as_ref(note));
    notes.iter().map(line).collect()
}
