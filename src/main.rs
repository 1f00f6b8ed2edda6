//! The `tidegate` command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match tidegate::cli::args::Cli::try_parse() {
        Ok(cli) => tidegate::cli::run(&cli),
        Err(error) => tidegate::cli::refuse(&error, std::env::args_os().nth(1)),
    }
}
