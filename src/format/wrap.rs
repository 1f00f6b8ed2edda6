//! One statement's words as lines.

use super::WIDTH;
use super::columns::width;
use crate::syntax::tree::{Word, WordKind};

/// A line of a statement, and the comments after it: the first stands behind it.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) text: String,
    /// The word before which the line was broken, with its comments.
    pub(super) next: Option<usize>,
}

/// Returns words as one line.
pub(super) fn line(words: &[Word<'_>]) -> String {
    let mut text = String::new();
    for (at, word) in words.iter().enumerate() {
        if at > 0 && !glued(words, at) {
            text.push(' ');
        }
        text.push_str(word.text);
    }
    text
}

/// Tells whether no blank stands before a word.
fn glued(words: &[Word<'_>], at: usize) -> bool {
    let kind = |at: usize| words.get(at).map(|word| word.kind);
    let sign = |kind| {
        matches!(
            kind,
            Some(WordKind::Comma(_) | WordKind::RightBracket | WordKind::Tight)
        )
    };
    let before = kind(at.wrapping_sub(1));
    sign(kind(at)) || matches!(before, Some(WordKind::LeftBracket | WordKind::Tight))
}

/// Tells whether comments stand within a statement, so that it has several lines.
pub(super) fn has_comments(words: &[Word<'_>]) -> bool {
    let mut inner = words.iter().skip(1);
    inner.any(|word| !word.before.comments.is_empty())
}

/// Returns a statement that is too long for one line or has comments, as lines: the longest of its
/// lists one entry to a line, then the next longest, until all lines fit.
pub(super) fn pieces(words: &[Word<'_>], indent: usize, tail: &str) -> Vec<Piece> {
    let mut broken = commented_lists(words);
    loop {
        let pieces = broken_at(words, &broken, tail);
        let fits = |piece: &Piece| indent + width(&piece.text) <= WIDTH;
        let next = longest(words, &broken);
        match next {
            Some(list) if !pieces.iter().all(fits) => broken.push(list),
            _ => return pieces,
        }
    }
}

fn list(word: &Word<'_>) -> Option<usize> {
    match word.kind {
        WordKind::Comma(list) => Some(list),
        _ => None,
    }
}

fn commented_lists(words: &[Word<'_>]) -> Vec<usize> {
    let pairs = words.windows(2);
    let commented = pairs.filter_map(|pair| match pair {
        [comma, next] if !next.before.comments.is_empty() => list(comma),
        _ => None,
    });
    commented.collect()
}

/// Returns the list with the most entries that is not broken yet.
fn longest(words: &[Word<'_>], broken: &[usize]) -> Option<usize> {
    let commas = words.iter().filter_map(list);
    let commas: Vec<usize> = commas.filter(|list| !broken.contains(list)).collect();
    let lists = commas.chunk_by(|one, next| one == next);
    // Of lists of one length the last one, which stands further right.
    let longest = lists.max_by_key(|list| list.len());
    longest.and_then(|list| list.first().copied())
}

fn broken_at(words: &[Word<'_>], broken: &[usize], tail: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut piece = Piece::default();
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| words.get(at));
        let ends = before
            .and_then(list)
            .is_some_and(|list| broken.contains(&list));
        if at > 0 && (ends || !word.before.comments.is_empty()) {
            piece.next = Some(at);
            pieces.push(std::mem::take(&mut piece));
        } else if at > 0 && !glued(words, at) {
            piece.text.push(' ');
        }
        piece.text.push_str(word.text);
    }
    piece.text.push_str(tail);
    pieces.push(piece);
    pieces
}
