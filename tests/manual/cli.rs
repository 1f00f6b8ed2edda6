//! The page of all commands, which their own help makes.

use std::fmt::Write;

use clap::CommandFactory;
use tidegate::cli::args::Cli;

#[test]
fn the_page_of_commands_says_what_their_help_says() {
    let mut all = Cli::command();
    all.build();
    let mut text = "# Commands\n\nWhat `tidegate COMMAND --help` prints. Exit codes: 0 fine, 1 \"no\" (mistakes, drift), 2 usage, \
        or of `plan` that\nsomething would change, 3 the host failed and the old rules stand, 4 going back failed as \
        well, 70 a bug in tidegate.\n"
        .to_owned();
    let verbs = all.get_subcommands();
    for verb in verbs.filter(|verb| verb.get_name() != "help" && !verb.is_hide_set()) {
        let name = verb.get_name();
        let help = verb.clone().term_width(100).render_long_help().to_string();
        let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", lines.join("\n"));
    }
    super::is_kept("cli.md", &text);
}
