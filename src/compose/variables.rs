//! Variables in compose files, as the Compose Specification's "Interpolation" has them.

use std::collections::BTreeMap;

/// Values by name.
pub type Variables = BTreeMap<String, String>;

/// How deep a default may hold variables of its own.
const MAX_DEPTH: usize = 8;

/// Puts values in the place of `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`,
/// `${NAME:?reason}`, `${NAME?reason}`, `${NAME:+other}` and `${NAME+other}`; `$$` is a dollar sign.
///
/// Errors say what is wrong: a variable that must be set, an open brace, an unknown form. A variable
/// that is not set is empty, as for Docker.
pub fn interpolate(text: &str, variables: &Variables) -> Result<String, String> {
    expand(text, variables, 0)
}

fn expand(text: &str, variables: &Variables, depth: usize) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err("variables within variables, too deep".to_owned());
    }
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        result.push_str(before);
        rest = if let Some(behind) = behind.strip_prefix('$') {
            result.push('$');
            behind
        } else if let Some(behind) = behind.strip_prefix('{') {
            let (inner, behind) =
                braces(behind).ok_or_else(|| format!("`${{{behind}` stays open"))?;
            result.push_str(&braced(inner, variables, depth)?);
            behind
        } else {
            let (name, behind) = name(behind);
            if name.is_empty() {
                return Err(format!(
                    "`${behind}` is no variable; write `$$` for the sign"
                ));
            }
            result.push_str(variables.get(name).map_or("", String::as_str));
            behind
        };
    }
    result.push_str(rest);
    Ok(result)
}

/// Splits at the brace that closes what is open.
fn braces(text: &str) -> Option<(&str, &str)> {
    let mut open = 1u32;
    let mut before = '\0';
    for (at, character) in text.char_indices() {
        match character {
            '{' if before == '$' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some((text.get(..at)?, text.get(at + 1..)?));
        }
        before = character;
    }
    None
}

fn name(text: &str) -> (&str, &str) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn braced(inner: &str, variables: &Variables, depth: usize) -> Result<String, String> {
    let (name, form) = name(inner);
    let set = variables.get(name);
    let full = set.filter(|value| !value.is_empty());
    let unknown = || Err(format!("`${{{inner}}}` has a form that is not known"));
    if name.is_empty() {
        return unknown();
    }
    let (value, form) = match form.strip_prefix(':') {
        Some(form) => (full, form),
        None => (set, form),
    };
    let more = |text: &str| expand(text, variables, depth + 1);
    let mut letters = form.chars();
    match (letters.next(), value) {
        (None, _) if inner == name => Ok(set.cloned().unwrap_or_default()),
        (Some('-' | '?'), Some(value)) => Ok(value.clone()),
        (Some('-'), None) | (Some('+'), Some(_)) => more(letters.as_str()),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => Err(format!("`{name}` must be set: {}", letters.as_str())),
        _ => unknown(),
    }
}

/// Reads a `.env` file: `NAME=VALUE` lines, with quotes around a value taken off.
///
/// Errors name the line, from 1.
pub fn dotenv(text: &str) -> Result<Variables, String> {
    let mut variables = Variables::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("line {number} is not `NAME=VALUE`"));
        };
        variables.insert(name.trim().to_owned(), unquoted(value.trim(), &variables)?);
    }
    Ok(variables)
}

fn unquoted(value: &str, variables: &Variables) -> Result<String, String> {
    for quote in ['\'', '"'] {
        let inner = value
            .strip_prefix(quote)
            .and_then(|value| value.split_once(quote));
        match inner {
            Some((inner, _)) if quote == '\'' => return Ok(inner.to_owned()),
            Some((inner, _)) => return interpolate(inner, variables),
            None => {}
        }
    }
    let value = value
        .split_once(" #")
        .map_or(value, |(value, _)| value.trim_end());
    interpolate(value, variables)
}
