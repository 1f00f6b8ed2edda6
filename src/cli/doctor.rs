//! `tidegate doctor`.

use super::Done;
use super::args::{DoctorArgs, Format};
use super::failure::Failure;
use super::target;
use crate::doctor::{Facts, examine};

pub(super) fn run(args: &DoctorArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    let report = examine(&Facts::of(&host));
    Ok(Done {
        text: match args.format {
            Format::Json => report.json(),
            Format::Text => report.text(),
        },
        warnings: String::new(),
        yes: report.is_fine(),
        ..Done::default()
    })
}
