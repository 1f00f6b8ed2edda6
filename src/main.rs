//! The `tidegate` command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    tidegate::cli::run(&tidegate::cli::args::Cli::parse())
}
