//! Statements to lines.

use super::WIDTH;
use super::columns::{self, Family, Line, width};
use super::wrap;
use crate::syntax::tree::{Block, Comment, Statement, StatementKind, Tree, Word, WordKind};

/// Blanks before what stands in a block.
const INDENT: usize = 2;
/// More of them before what goes on in the next line.
const CONTINUED: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Printer {
    lines: Vec<Line>,
    indent: usize,
    /// Whether something stands in the block or the file: neither starts with a blank line.
    begun: bool,
}

impl Printer {
    pub(super) fn print(tree: &Tree<'_>) -> String {
        let mut printer = Printer::default();
        for item in &tree.items {
            printer.statement(item);
        }
        printer.comments(&tree.end.comments, 0);
        columns::text(&printer.lines)
    }

    fn push(&mut self, line: Line) {
        self.lines.push(line);
        self.begun = true;
    }

    /// Adds comments: one behind the last line, where it stood there, and others with lines of
    /// their own.
    fn comments(&mut self, comments: &[Comment<'_>], indent: usize) {
        for comment in comments {
            let text = Some(comment.text.to_owned());
            match self.lines.last_mut() {
                Some(line) if !comment.own_line && line.comment.is_none() => line.comment = text,
                _ => self.push(Line {
                    indent,
                    comment: text,
                    blank: comment.blank && self.begun,
                    ..Line::default()
                }),
            }
        }
    }

    fn statement(&mut self, statement: &Statement<'_>) {
        let Some(first) = statement.words.first() else {
            return;
        };
        self.comments(&first.before.comments, self.indent);
        let blank = first.before.blank && self.begun;
        match &statement.block {
            None => {
                let (cells, family) = cells(statement);
                self.head(statement, cells, family, "", blank);
            }
            Some(block) => self.with_block(statement, block, blank),
        }
    }

    fn with_block(&mut self, statement: &Statement<'_>, block: &Block<'_>, blank: bool) {
        let head = wrap::line(&statement.words);
        let short = short(statement, block)
            .filter(|short| self.indent + width(&head) + 1 + width(short) <= WIDTH);
        if let Some(short) = short {
            let (cells, family) = match statement.kind {
                StatementKind::Trust => (vec![head, short], Family::Trust),
                _ => (vec![format!("{head} {short}")], Family::Plain),
            };
            self.push(Line {
                indent: self.indent,
                cells,
                family: Some(family),
                blank,
                ..Line::default()
            });
        } else if block.statements.is_empty() && block.close.comments.is_empty() {
            self.head(statement, vec![head + " {}"], None, " {}", blank);
        } else {
            self.head(statement, vec![head + " {"], None, " {", blank);
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block<'_>) {
        self.indent += INDENT;
        self.begun = false;
        for statement in &block.statements {
            self.statement(statement);
        }
        self.comments(&block.close.comments, self.indent);
        self.indent -= INDENT;
        self.push(Line {
            indent: self.indent,
            cells: vec!["}".to_owned()],
            ..Line::default()
        });
    }

    /// Adds a statement up to its block: as one line of such cells, or as several with `tail` at
    /// their end.
    fn head(
        &mut self,
        statement: &Statement<'_>,
        cells: Vec<String>,
        family: Option<Family>,
        tail: &str,
        blank: bool,
    ) {
        let words = &statement.words;
        let line = wrap::line(words);
        if !wrap::has_comments(words) && self.indent + width(&line) + tail.len() <= WIDTH {
            self.push(Line {
                indent: self.indent,
                cells,
                family,
                blank,
                comment: None,
            });
            return;
        }
        let mut indent = self.indent;
        for piece in wrap::pieces(words, indent + CONTINUED, tail) {
            self.push(Line {
                indent,
                cells: vec![piece.text],
                blank: blank && indent == self.indent,
                ..Line::default()
            });
            indent = self.indent + CONTINUED;
            let next = piece.next.and_then(|at| words.get(at));
            if let Some(next) = next {
                self.comments(&next.before.comments, indent);
            }
        }
    }
}

/// Returns a block that was written in the line of its head, and can stay there.
fn short(statement: &Statement<'_>, block: &Block<'_>) -> Option<String> {
    let first = block.statements.first()?;
    let several = statement.kind == StatementKind::Trust || block.statements.len() == 1;
    let opened = first.words.first().is_some_and(|word| word.before.lines);
    let inner = block.statements.iter().flat_map(|it| &it.words);
    let commented = statement
        .words
        .iter()
        .skip(1)
        .chain(inner)
        .map(|word| &word.before)
        .chain([&block.close])
        .any(|gap| !gap.comments.is_empty());
    if !several || opened || commented {
        return None;
    }
    let parts: Vec<String> = block
        .statements
        .iter()
        .map(|statement| wrap::line(&statement.words))
        .collect();
    Some(format!("{{ {} }}", parts.join(", ")))
}

/// Returns a statement's cells: what stands below each other in lines of its family.
fn cells(statement: &Statement<'_>) -> (Vec<String>, Option<Family>) {
    let words = &statement.words;
    let (family, starts) = match statement.kind {
        StatementKind::Access => (Family::Access, vec![Some(1), arrow(words), colon(words)]),
        StatementKind::Expect => (
            Family::Expect,
            vec![arrow(words), colon(words), words.len().checked_sub(1)],
        ),
        StatementKind::Expose => (
            Family::Expose,
            vec![
                keyword(words, &["as"]),
                keyword(words, &["from", "limit", "log"]),
            ],
        ),
        StatementKind::Setting => (Family::Setting, vec![Some(value(words))]),
        _ => return (vec![wrap::line(words)], Some(Family::Plain)),
    };
    (split(words, &starts), Some(family))
}

/// Cuts words before each start; one that is missing makes an empty cell.
fn split(words: &[Word<'_>], starts: &[Option<usize>]) -> Vec<String> {
    let mut cells = Vec::new();
    let mut rest = words.len();
    for start in starts.iter().rev() {
        let start = start.unwrap_or(rest);
        cells.push(wrap::line(words.get(start..rest).unwrap_or(&[])));
        rest = start;
    }
    cells.push(wrap::line(words.get(..rest).unwrap_or(&[])));
    cells.reverse();
    cells
}

fn arrow(words: &[Word<'_>]) -> Option<usize> {
    words.iter().position(|word| word.kind == WordKind::Arrow)
}

fn colon(words: &[Word<'_>]) -> Option<usize> {
    words.iter().position(|word| word.kind == WordKind::Colon)
}

fn keyword(words: &[Word<'_>], any: &[&str]) -> Option<usize> {
    let is = |word: &Word<'_>| word.kind == WordKind::Keyword && any.contains(&word.text);
    words.iter().position(is)
}

/// Returns where a setting's value starts: `log denied` is one name.
fn value(words: &[Word<'_>]) -> usize {
    match words.get(1) {
        Some(word) if word.kind == WordKind::Keyword && word.text == "denied" => 2,
        _ => 1,
    }
}
