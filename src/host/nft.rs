//! The one table of nftables that is ours, by nft(8).

use serde_json::Value;

use super::{HostError, command};
use crate::netfilter::bridge::TABLE;

pub(super) fn bridge_table() -> Result<Option<String>, HostError> {
    let tables = match command::run("nft", &["-j", "list", "tables"], "") {
        Ok(tables) => tables,
        Err(HostError::NoCommand(_)) => return Ok(None),
        // A kernel without nftables has no table of it.
        Err(HostError::Command { stderr, .. }) if stderr.contains("not supported") => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if !names_ours(&tables) {
        return Ok(None);
    }
    command::run("nft", &["-j", "list", "table", "bridge", TABLE], "").map(Some)
}

fn names_ours(tables: &str) -> bool {
    let tables: Value = serde_json::from_str(tables).unwrap_or_default();
    let entries = tables.get("nftables").and_then(Value::as_array);
    let mut tables = entries
        .into_iter()
        .flatten()
        .filter_map(|it| it.get("table"));
    let says =
        |table: &Value, key: &str, text: &str| table.get(key).and_then(Value::as_str) == Some(text);
    tables.any(|table| says(table, "family", "bridge") && says(table, "name", TABLE))
}
