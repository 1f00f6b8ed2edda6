//! JSON with a line for each entry: short, and still for people, diff and grep.

use serde::Serialize;

/// Returns a value on one line.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .unwrap_or_else(|error| unreachable!("all keys are strings: {error}"))
}

pub(super) fn named(name: &str, value: &str) -> String {
    format!("{}: {value}", json(&name))
}

/// Returns an array or an object with its entries, each on its own line.
pub(super) fn block([open, close]: [char; 2], entries: impl Iterator<Item = String>) -> String {
    let entries: Vec<String> = entries.collect();
    format!("{open}\n{}\n{close}", entries.join(",\n"))
}

/// Returns an array of values.
pub(super) fn array<T: Serialize>(values: &[T]) -> String {
    if values.is_empty() {
        return "[]".to_owned();
    }
    block(['[', ']'], values.iter().map(json))
}
