//! What the pages show: policies and files are written down, commands run in their folder.
//!
//! A block whose first line is `# NAME.tide` or `# NAME.yaml` is that file. In a `console` block, each
//! line that starts with `$ tidegate` is run, and what follows it is what it prints; `UPDATE=1` writes
//! that. Commands that need root or an engine stand in indented blocks: their arguments are read.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use clap::Parser;
use tidegate::cli::args::Cli;
use tidegate::compile::compile;

use super::{is_kept, pages};
use crate::support::files::{Folder, repository};

/// Returns the blocks of a page, each with the word that says what is in it.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let blocks = page.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.split_once('\n')).collect()
}

/// Returns the name of the file that a block is.
fn file_name(text: &str) -> Option<&str> {
    let name = text.lines().next()?.strip_prefix("# ")?;
    let known = [".tide", ".yaml"]
        .iter()
        .any(|ending| name.ends_with(ending));
    (known && !name.contains([' ', '/'])).then_some(name)
}

/// Returns the words of a command, without the comment behind it or the file that it writes.
fn words(command: &str) -> Vec<&str> {
    let command = command.split(" #").next().unwrap_or("");
    let command = command.split(" > ").next().unwrap_or("");
    command.split_whitespace().collect()
}

fn printed(command: &str, folder: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(words(command).into_iter().skip(1))
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap();
    assert!(
        output.status.code().is_some_and(|code| code < 2),
        "{command}: {output:?}"
    );
    // A terminal shows both.
    [output.stdout, output.stderr]
        .map(|text| String::from_utf8(text).unwrap())
        .concat()
}

/// Returns a console block as it is when its commands are run.
fn run(block: &str, folder: &Path) -> String {
    let commands = block.lines().filter_map(|line| line.strip_prefix("$ "));
    let said = commands.map(|command| {
        assert!(command.starts_with("tidegate "), "{command} is not run");
        format!("$ {command}\n{}", printed(command, folder))
    });
    said.collect()
}

#[test]
fn commands_print_what_the_pages_say() {
    let mut commands = 0;
    for (name, page) in pages() {
        let blocks = blocks(&page);
        if !blocks.iter().any(|(word, _)| *word == "console") {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut now = page.clone();
        for (word, text) in blocks {
            if let Some(file) = file_name(text) {
                fs::write(folder.path().join(file), text).unwrap();
            } else if word == "console" {
                commands += text.matches("$ tidegate").count();
                let block = format!("```console\n{text}```");
                let new = format!("```console\n{}```", run(text, folder.path()));
                now = now.replacen(&block, &new, 1);
            }
        }
        is_kept(&name, &now);
    }
    assert!(commands > 12, "only {commands}");
}

/// Policies that are files of a page have no mistakes, and nothing that is there for nothing.
#[test]
fn policies_of_the_manual_compile() {
    let mut count = 0;
    for (name, page) in pages() {
        let folder = tempfile::tempdir().unwrap();
        for (word, text) in blocks(&page) {
            let Some(file) = file_name(text).filter(|_| word == "tide") else {
                continue;
            };
            count += 1;
            fs::write(folder.path().join(file), text).unwrap();
            let mut compiled = compile(&Folder(folder.path().to_owned()), file);
            compiled.lint();
            assert!(
                compiled.diagnostics.is_empty(),
                "{name}: {:#?}",
                compiled.diagnostics
            );
        }
    }
    assert!(count >= 7, "only {count}");
}

/// Returns the commands of indented blocks, and those in a line that name root.
fn commands(page: &str) -> Vec<&str> {
    let indented = page.lines().filter_map(|line| line.strip_prefix("    "));
    let inline = page.split('`').skip(1).step_by(2);
    let inline = inline.filter(|code| code.starts_with("sudo tidegate "));
    let all = indented.chain(inline);
    all.map(|line| line.strip_prefix("sudo ").unwrap_or(line))
        .filter(|line| line.starts_with("tidegate "))
        .collect()
}

#[test]
fn arguments_of_every_command_that_is_shown_are_right() {
    let mut shown = pages();
    for name in [
        "README.md",
        "editors/README.md",
        "examples/07-compose/README.md",
    ] {
        let text = fs::read_to_string(repository().join(name)).unwrap();
        shown.push((name.to_owned(), text));
    }
    let mut count = 0;
    for (name, page) in shown {
        for command in commands(&page) {
            count += 1;
            if let Err(error) = Cli::try_parse_from(words(command)) {
                panic!("{name}: {command}\n{error}");
            }
        }
    }
    assert!(count > 60, "only {count}");
}
