//! `tidegate inventory`.

use super::Done;
use super::args::InventoryArgs;
use super::failure::Failure;
use crate::host::{self, Progress};

pub(super) fn run(args: &InventoryArgs) -> Result<Done, Failure> {
    let moving = Progress::on_terminal().moving("asking the engine");
    let text = host::engine_inventory(&args.socket)?.print();
    drop(moving);
    match &args.output {
        None => Ok(Done::yes(text)),
        Some(path) => {
            host::write_file(path, &text)?;
            Ok(Done::yes(format!("{} is written\n", host::shown(path))))
        }
    }
}
