//! What is made of the command line's own description: manual pages, and completions for shells.

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::Done;
use super::args::{Cli, CompletionsArgs, ManualArgs};
use super::failure::{Failure, FailureKind};
use super::roff::roff;
use crate::host;

/// Commands for those who run a system; man-pages(7).
const SECTION: &str = "8";

/// The language, which is a file's format.
const LANGUAGE: &str = include_str!("../../docs/language.md");

pub(super) fn completions(args: &CompletionsArgs) -> Done {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tidegate", &mut text);
    Done::yes(String::from_utf8_lossy(&text).into_owned())
}

pub(super) fn manual(args: &ManualArgs) -> Result<Done, Failure> {
    let mut all = Cli::command();
    all.build();
    let verbs = all
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help" && !verb.is_hide_set());
    let mut pages = vec![("tidegate".to_owned(), all.clone())];
    pages.extend(verbs.map(|verb| (format!("tidegate-{}", verb.get_name()), verb.clone())));
    for (name, command) in &pages {
        let path = args.folder.join(format!("{name}.{SECTION}"));
        host::write_file(&path, &page(name, command)?)?;
    }
    host::write_file(&args.folder.join("tide.5"), &roff(LANGUAGE, "tide", "5"))?;
    let folder = host::shown(&args.folder);
    Ok(Done::yes(format!(
        "{} pages in {folder}\n",
        pages.len() + 1
    )))
}

fn page(name: &str, command: &Command) -> Result<String, Failure> {
    let man = Man::new(command.clone()).title(name).section(SECTION);
    let man = man.manual("tidegate").source(env!("CARGO_PKG_VERSION"));
    let mut text = Vec::new();
    man.render(&mut text).map_err(|error| {
        let message = format!("cannot write the page of {name}: {error}");
        Failure::new(FailureKind::Host, &message, "try again with more memory")
    })?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
