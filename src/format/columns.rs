//! Lines whose parts stand in columns: of statements of one kind that follow each other, and of
//! the comments behind them.

use super::WIDTH;

/// What lines have in common that share columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Access,
    Expect,
    Expose,
    /// Has no columns but that of comments.
    Plain,
    Setting,
    Trust,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) indent: usize,
    /// Some may be empty, to leave out a column. A line without any is a comment's own.
    pub(super) cells: Vec<String>,
    /// That of a statement in one line; `None` for a part of a statement.
    pub(super) family: Option<Family>,
    pub(super) comment: Option<String>,
    /// Whether a blank line stands before it.
    pub(super) blank: bool,
}

/// Blanks before a comment.
const BEFORE_COMMENT: usize = 2;

/// Returns the text of lines.
pub(super) fn text(lines: &[Line]) -> String {
    let mut text = String::new();
    for run in lines.chunk_by(follows) {
        let rows: Vec<String> = run
            .chunk_by(|one, next| one.family == next.family)
            .flat_map(rows)
            .collect();
        let column = column(run, &rows);
        for (line, row) in run.iter().zip(&rows) {
            if line.blank {
                text.push('\n');
            }
            text.push_str(row);
            if let Some(comment) = &line.comment {
                let blanks = blanks(line, row, column);
                text.extend(std::iter::repeat_n(' ', blanks));
                text.push_str(comment);
            }
            text.push('\n');
        }
    }
    text
}

/// Tells whether a line shares the columns of the one before it.
fn follows(one: &Line, next: &Line) -> bool {
    let both = one.family.is_some() && next.family.is_some();
    both && !next.blank && one.indent == next.indent
}

/// Returns lines without their comments, in columns where all of them fit.
fn rows(lines: &[Line]) -> Vec<String> {
    let widths = widths(lines);
    let aligned: Vec<String> = lines.iter().map(|line| row(line, &widths)).collect();
    if aligned.iter().all(|row| width(row) <= WIDTH) {
        aligned
    } else {
        lines.iter().map(|line| row(line, &[])).collect()
    }
}

fn widths(lines: &[Line]) -> Vec<usize> {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        // What nothing stands behind needs no column: it may be as long as it likes.
        let last = line.cells.iter().rposition(|cell| !cell.is_empty());
        let cells = line.cells.get(..last.unwrap_or(0)).unwrap_or(&[]);
        let missing = cells.len().saturating_sub(widths.len());
        widths.extend(std::iter::repeat_n(0, missing));
        for (widest, cell) in widths.iter_mut().zip(cells) {
            *widest = width(cell).max(*widest);
        }
    }
    widths
}

/// Returns a line's cells, those of no column without room for it.
fn row(line: &Line, widths: &[usize]) -> String {
    let mut text = " ".repeat(line.indent);
    for (at, cell) in line.cells.iter().enumerate() {
        let column = widths.get(at).copied().unwrap_or(0);
        if column == 0 && cell.is_empty() {
            continue;
        }
        text.push_str(cell);
        let blanks = column.saturating_sub(width(cell)) + 1;
        text.extend(std::iter::repeat_n(' ', blanks));
    }
    let end = text.trim_end().len();
    // A comment's own line keeps its indent.
    text.truncate(end.max(line.indent));
    text
}

/// Returns the column of the comments behind lines; 0 where they do not fit there.
fn column(lines: &[Line], rows: &[String]) -> usize {
    let commented = lines.iter().zip(rows);
    let commented = commented.filter(|(line, _)| line.comment.is_some() && !line.cells.is_empty());
    let column = commented.clone().map(|(_, row)| width(row)).max();
    let column = column.unwrap_or(0) + BEFORE_COMMENT;
    let comment = |line: &Line| line.comment.as_deref().map_or(0, width);
    let fits = |(line, row): (&Line, &String)| {
        let anyway = width(row) + BEFORE_COMMENT + comment(line) > WIDTH;
        anyway || column + comment(line) <= WIDTH
    };
    if commented.clone().all(fits) {
        column
    } else {
        0
    }
}

fn blanks(line: &Line, row: &str, column: usize) -> usize {
    if line.cells.is_empty() {
        0
    } else {
        column.saturating_sub(width(row)).max(BEFORE_COMMENT)
    }
}

pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}
