//! `tidegate apply`.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use super::args::ApplyArgs;
use super::failure::{Failure, not_compared};
use super::target::Wanted;
use super::{Done, beside, notes, policy, target};
use crate::artifact::Bundle;
use crate::compare::{Asks, World};
use crate::deploy::against::in_force;
use crate::deploy::{self, Options, Outcome};
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::host::{self, LinuxHost, Progress, Urgency};

pub(super) fn run(args: &ApplyArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?.telling(Progress::on_terminal());
    if args.boot {
        host::await_firewalld();
    }
    let options = Options {
        boot: args.boot,
        keep_connections: args.keep_connections,
        ..Options::default()
    };
    let with = policy::With {
        host: args.host_name.as_deref(),
        inventory: args.inventory.as_deref(),
        ..policy::With::default()
    };
    let Some(path) = &args.what else {
        let (bundle, outcome) = deploy::apply_installed(&host, options)?;
        return Ok(said(&bundle, &outcome, String::new()));
    };
    let wanted = target::wanted(&host, path, &with)?;
    let (bundle, warnings) = (&wanted.subject.bundle, wanted.warnings.clone());
    let unread = deploy::forgets_nothing(&host, bundle, wanted.engine.facts(), &args.forget)?;
    let harms = harms(&host, args, &wanted);
    if harms.iter().any(|it| it.weight == Weight::Error) {
        return Err(target::unwanted(&harms));
    }
    for before in unread.iter().chain(&harms) {
        let _ = host::print_coloured(anstream::stderr().lock(), &before.text());
    }
    let mut done = if let Some(wait) = args.confirm {
        on_trial(&host, bundle, warnings, options, wait)?
    } else {
        let mut outcome = deploy::apply(&host, bundle, options)?;
        outcome.notes.extend(beside::note(&host));
        said(bundle, &outcome, warnings)
    };
    done.yes &= unread.is_none_or(|it| it.weight != Weight::Error);
    Ok(looked_after(&host, &wanted, done))
}

/// Returns what may do harm that nobody means; an error but on trial.
fn harms(host: &LinuxHost, args: &ApplyArgs, wanted: &Wanted) -> Vec<Finding> {
    let on_trial = args.confirm.is_some();
    let closed = deploy::closed_at_first(host, &wanted.subject.policy, on_trial);
    let session = host::ssh_session().filter(|_| !on_trial);
    let ends = session.and_then(|it| deploy::ends_session(host, &wanted.subject.bundle, &it));
    closed.into_iter().chain(ends).collect()
}

/// Looks what the rules, which are in force now, make of published ports that no line opens.
fn looked_after(host: &LinuxHost, wanted: &Wanted, mut done: Done) -> Done {
    let world = |facts| World {
        policy: &wanted.subject.policy,
        facts,
        asks: Asks::Change,
    };
    let openings = wanted.subject.bundle.parties();
    let openings = openings.map_or(&[][..], |it| &it.openings);
    let facts = wanted.engine.facts();
    let found = facts.map_or_else(Vec::new, |facts| in_force(host, world(facts), openings));
    done.warnings.extend(found.iter().map(Finding::text));
    done.yes &= found.iter().all(|it| it.weight != Weight::Error);
    done
}

/// Says what stands.
pub(super) fn said(bundle: &Bundle, outcome: &Outcome, warnings: String) -> Done {
    let state = if outcome.changed {
        "in force"
    } else {
        "already in force"
    };
    let (policy, version) = (&bundle.manifest().policy, bundle.short_version());
    let whole = if outcome.not_compared.is_empty() {
        ""
    } else {
        ", but for what was not compared"
    };
    let line = format!("{policy}, version {version}: {state}{whole}\n");
    let fields = host::policy_fields(Some(policy), Some(version));
    let text = line + &notes(&outcome.notes);
    Done {
        text: host::for_journal(io::stdout(), &text, Urgency::Info, &fields),
        warnings: warnings + &unsure(outcome),
        yes: outcome.not_compared.is_empty(),
        ..Done::default()
    }
}

/// Says loudly what of an outcome is not as it should be, or not known.
pub(super) fn unsure(outcome: &Outcome) -> String {
    not_cut(outcome) + &not_compared(&outcome.not_compared)
}

/// Says loudly that connections may go on which the rules would not let begin.
fn not_cut(outcome: &Outcome) -> String {
    let Some(why) = &outcome.not_cut else {
        return String::new();
    };
    format!(
        "warning[{}]: connections that lost their permission were not cut: {why}\n\
         help: mend what the message names, then apply again\n",
        code::NOT_CUT
    )
}

fn on_trial(
    host: &LinuxHost,
    bundle: &Bundle,
    warnings: String,
    options: Options,
    wait: Duration,
) -> Result<Done, Failure> {
    let (mut outcome, trial) = deploy::try_out(host, bundle, options, wait)?;
    outcome.notes.extend(beside::note(host));
    let mut done = said(bundle, &outcome, warnings);
    if let Some(trial) = trial {
        let left = trial.left(host)?.map_or(0, deploy::seconds);
        let back = trial.back();
        let _ = writeln!(
            done.text,
            "`tidegate confirm` within {left} s keeps it; else {back} comes back"
        );
    }
    Ok(done)
}
