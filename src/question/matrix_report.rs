//! Who reaches whom, as a list that fits any terminal, as a table, and for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use super::matrix::Cell;
use super::names::Words;
use crate::net::Family;

/// Writes one line for each pair.
pub fn matrix_text(cells: &[Cell]) -> String {
    let from = width(cells.iter().map(|cell| cell.from.as_str()));
    let to: Vec<String> = cells.iter().map(to).collect();
    let wide = width(to.iter().map(String::as_str));
    let mut text = String::new();
    for (cell, to) in cells.iter().zip(&to) {
        let _ = writeln!(
            text,
            "{:from$} -> {to:wide$}  {}{}",
            cell.from,
            said(cell),
            family(cell)
        );
    }
    if text.is_empty() {
        text.push_str("nobody reaches anybody\n");
    }
    text
}

fn width<'w>(words: impl Iterator<Item = &'w str>) -> usize {
    words.map(|word| word.chars().count()).max().unwrap_or(0)
}

fn to(cell: &Cell) -> String {
    if cell.by_host {
        format!("{} by the host", cell.to)
    } else {
        cell.to.clone()
    }
}

/// Rows and columns; an empty cell is a closed way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Names of what is connected to.
    pub columns: Vec<String>,
    /// Each with the name of who connects.
    pub rows: Vec<(String, Vec<String>)>,
}

/// Arranges cells by who connects and to what.
pub fn matrix_table(cells: &[Cell]) -> Table {
    let (mut rows, mut columns) = (Vec::new(), Vec::new());
    for cell in cells {
        let to = to(cell);
        if !rows.contains(&cell.from) {
            rows.push(cell.from.clone());
        }
        if !columns.contains(&to) {
            columns.push(to);
        }
    }
    columns.sort_by_key(|to| to == "host");
    let row = |row: String| {
        let column = |column: &String| {
            let here = cells
                .iter()
                .filter(|cell| cell.from == row && to(cell) == *column);
            let here: Vec<String> = here
                .map(|cell| format!("{}{}", said(cell), family(cell)))
                .collect();
            here.join("; ")
        };
        let cells = columns.iter().map(column).collect();
        (row, cells)
    };
    let rows = rows.into_iter().map(row).collect();
    Table { columns, rows }
}

/// Arranges cells below each other: who connects, to what, and on which services.
pub fn matrix_list(cells: &[Cell]) -> Vec<[String; 3]> {
    let row = |cell: &Cell| {
        let services = format!("{}{}", said(cell), family(cell));
        [cell.from.clone(), to(cell), services]
    };
    cells.iter().map(row).collect()
}

/// Writes a table of rows and columns.
pub fn matrix_markdown(cells: &[Cell]) -> String {
    let Table { columns, rows } = matrix_table(cells);
    let mut text = format!("| from | {} |\n|", columns.join(" | "));
    text.push_str(&" --- |".repeat(columns.len() + 1));
    text.push('\n');
    for (row, cells) in &rows {
        let _ = writeln!(text, "| {row} | {} |", cells.join(" | "));
    }
    text
}

pub fn matrix_json(cells: &[Cell]) -> Value {
    let words = |words: &Option<Words>| {
        let words = words.as_ref();
        words.map(|words| json!({"these": words.these, "except": words.except}))
    };
    let cell = |cell: &Cell| {
        let families: Vec<&str> = cell.families.iter().map(|family| family.title()).collect();
        json!({
            "from": cell.from,
            "to": cell.to,
            "by_host": cell.by_host,
            "all": words(&cell.all),
            "limited": words(&cell.limited),
            "some": words(&cell.some),
            "families": families,
        })
    };
    Value::Array(cells.iter().map(cell).collect())
}

fn said(cell: &Cell) -> String {
    let all = cell.all.iter().map(Words::to_string);
    let limited = cell
        .limited
        .iter()
        .map(|words| format!("{words} (limited)"));
    let some = cell.some.iter().map(|words| format!("{words} (some)"));
    let all: Vec<String> = all.chain(limited).chain(some).collect();
    all.join(", ")
}

fn family(cell: &Cell) -> &'static str {
    match cell.families.as_slice() {
        [Family::V4] => " (IPv4)",
        [Family::V6] => " (IPv6)",
        _ => "",
    }
}
