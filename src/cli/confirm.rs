//! `tidegate confirm`, `rollback` and `status`, and whoever goes back when nobody confirms.

use std::time::Duration;

use super::args::{AwaitArgs, ConfirmArgs, Format, RollbackArgs, StatusArgs};
use super::failure::Failure;
use super::{Done, apply, notes, target};
use crate::deploy::{self, Options, Stage};
use crate::host::{self, Host, Progress};

/// How long to wait before going back is tried again, and no longer than that.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

pub(super) fn run(args: &ConfirmArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    let trial = deploy::confirm(&host)?;
    let version = trial.version.get(..12).unwrap_or(&trial.version);
    Ok(Done::yes(format!(
        "{}, version {version}: confirmed, and kept for the next boot\n",
        trial.policy
    )))
}

pub(super) fn rollback(args: &RollbackArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?.telling(Progress::on_terminal());
    let options = Options {
        keep_connections: args.keep_connections,
        ..Options::default()
    };
    let (bundle, outcome) = deploy::rollback(&host, args.version.as_deref(), options)?;
    Ok(match bundle {
        Some(bundle) => apply::said(&bundle, &outcome, String::new()),
        None => {
            Done::yes("no rules of tidegate are in force\n".to_owned() + &notes(&outcome.notes))
        }
    })
}

pub(super) fn status(args: &StatusArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    let status = deploy::status(&host)?;
    Ok(Done {
        text: match args.format {
            Format::Json => status.json(),
            Format::Text => status.text(),
        },
        warnings: String::new(),
        yes: status.is_fine(),
        ..Done::default()
    })
}

/// Sleeps until the time is over, then goes back; tries until it has.
pub(super) fn wait(args: &AwaitArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    if args.detach {
        host::detach()?;
    }
    host::sleep_until(args.until);
    let mut retry = RETRY;
    loop {
        let wait = match deploy::return_in_time(&host) {
            Ok(Stage::Over) => return Ok(Done::yes(String::new())),
            // Where systemd called, the journal keeps it.
            Ok(Stage::WentBack(trial, outcome)) => {
                return Ok(Done::yes(
                    deploy::went_back(&trial) + "\n" + &notes(&outcome.notes),
                ));
            }
            // Somebody else's time: another bundle is on trial by now.
            Ok(Stage::Waits(_, left)) => left,
            Err(error) if !args.detach => return Err(error.into()),
            Err(_) => {
                retry = LONGEST.min(retry * 2);
                retry
            }
        };
        let then = host.moment()?.after(wait);
        host::sleep_until(then.millis);
    }
}
