//! Compose files given by path, as one project.

use std::path::{Path, PathBuf};

use super::args::ProjectArgs;
use super::failure::{Failure, FailureKind};
use crate::compose::{self, MAX_BYTES, Project, Variables};
use crate::host::{self, FileKind, Trust};

/// The variable that names a project; Docker Compose's own.
const NAME: &str = "COMPOSE_PROJECT_NAME";

/// Reads a project, its variables from a file alone: the environment of this process has no part.
pub(super) fn project(paths: &[PathBuf], args: &ProjectArgs) -> Result<Project, Failure> {
    let variables = variables(paths, args)?;
    let read = |path: &PathBuf| -> Result<(String, String), Failure> {
        let text = host::read_file(path, MAX_BYTES, Trust::Anybody)?;
        Ok((host::shown(path), text))
    };
    let files: Vec<(String, String)> = paths.iter().map(read).collect::<Result<_, _>>()?;
    let name = args
        .project_name
        .clone()
        .or_else(|| variables.get(NAME).cloned());
    let name = name.unwrap_or_else(|| folder_name(paths));
    compose::read(&files, &name, &variables).map_err(|error| {
        let help = "`docker compose config` says what Docker makes of it";
        Failure::new(FailureKind::No, &error.to_string(), help)
    })
}

/// Returns the names of files, as messages call them.
pub(super) fn origin(paths: &[PathBuf]) -> String {
    let name = |path: &PathBuf| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let names: Vec<String> = paths.iter().filter_map(name).collect();
    names.join(" and ")
}

fn variables(paths: &[PathBuf], args: &ProjectArgs) -> Result<Variables, Failure> {
    let beside = paths.first().map(|path| path.with_file_name(".env"));
    let beside = beside.filter(|path| host::kind(path) == FileKind::Other);
    let Some(path) = args.env_file.clone().or(beside) else {
        return Ok(Variables::new());
    };
    let text = host::read_file(&path, MAX_BYTES, Trust::Anybody)?;
    compose::dotenv(&text).map_err(|error| {
        let message = format!("{}: {error}", host::shown(&path));
        Failure::new(
            FailureKind::No,
            &message,
            "a variable is a line `NAME=VALUE`",
        )
    })
}

/// Returns the name of the folder of the first file, as Docker Compose writes it.
fn folder_name(paths: &[PathBuf]) -> String {
    let folder = paths.first().and_then(|path| host::folder_of(path));
    let name = folder
        .as_deref()
        .and_then(Path::file_name)
        .unwrap_or_default();
    let name = name.to_string_lossy().to_lowercase();
    let fits = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(*c);
    name.chars()
        .filter(fits)
        .skip_while(|c| "-_".contains(*c))
        .collect()
}
