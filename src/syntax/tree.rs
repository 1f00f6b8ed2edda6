//! A file as it was written: its statements word by word, with the comments and blank lines
//! between them, which the AST does not have.

use pest::iterators::Pair;

use super::grammar::{self, Rule};

/// A file without mistakes in its syntax.
#[derive(Debug)]
pub struct Tree<'a> {
    pub items: Vec<Statement<'a>>,
    /// What stands after the last item.
    pub end: Gap<'a>,
}

/// An item, or a statement in its block.
#[derive(Debug)]
pub struct Statement<'a> {
    pub kind: StatementKind,
    /// All words but those of the block.
    pub words: Vec<Word<'a>>,
    pub block: Option<Block<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    Access,
    Container,
    Expect,
    Expose,
    Host,
    Include,
    Member,
    Network,
    Setting,
    Trust,
}

#[derive(Debug)]
pub struct Block<'a> {
    pub statements: Vec<Statement<'a>>,
    /// What stands before its `}`.
    pub close: Gap<'a>,
}

/// A keyword, a name, a value or a sign.
#[derive(Debug)]
pub struct Word<'a> {
    pub kind: WordKind,
    pub text: &'a str,
    pub before: Gap<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordKind {
    Arrow,
    Colon,
    /// Between entries of a list; those of one list have one number.
    Comma(usize),
    Keyword,
    LeftBracket,
    Name,
    RightBracket,
    /// A sign within a value, as in `80,443/tcp` or `127.0.0.1:80`.
    Tight,
}

/// What stands between two words and means nothing.
#[derive(Debug, Default)]
pub struct Gap<'a> {
    pub comments: Vec<Comment<'a>>,
    /// Whether there is a line end.
    pub lines: bool,
    /// Whether there is a blank line after the last comment.
    pub blank: bool,
}

#[derive(Debug)]
pub struct Comment<'a> {
    /// From its `#` on, without blanks at its end.
    pub text: &'a str,
    /// Whether it stands on a line of its own.
    pub own_line: bool,
    /// Whether there is a blank line before it.
    pub blank: bool,
}

/// Reads a file of which [`super::parse`] says no mistake; otherwise returns `None`.
pub fn read(text: &str) -> Option<Tree<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file = grammar::read(Rule::file, text).ok()?.next()?;
    let mut reader = Reader { text, at: 0 };
    let items = file.into_inner();
    let items = items.filter_map(|pair| reader.statement(pair)).collect();
    let end = reader.gap(text.len());
    Some(Tree { items, end })
}

struct Reader<'a> {
    text: &'a str,
    /// The end of the last word.
    at: usize,
}

impl<'a> Reader<'a> {
    fn statement(&mut self, pair: Pair<'a, Rule>) -> Option<Statement<'a>> {
        let kind = kind(pair.as_rule())?;
        let mut words = Vec::new();
        let has_head = matches!(
            kind,
            StatementKind::Container
                | StatementKind::Host
                | StatementKind::Network
                | StatementKind::Trust
        );
        if !has_head {
            self.words(pair, Place::Statement, &mut words);
            return Some(Statement {
                kind,
                words,
                block: None,
            });
        }
        let mut parts = pair.into_inner();
        self.words(parts.next()?, Place::Statement, &mut words);
        let block = parts.next().map(|open| self.block(&open, parts));
        Some(Statement { kind, words, block })
    }

    fn block(
        &mut self,
        open: &Pair<'a, Rule>,
        parts: impl Iterator<Item = Pair<'a, Rule>>,
    ) -> Block<'a> {
        self.word_at(open.as_span().start(), 1);
        let mut statements = Vec::new();
        for part in parts {
            if part.as_rule() == Rule::comma {
                let sign = part.as_str().find(',').unwrap_or(0);
                // Only blanks can stand before it.
                self.at = part.as_span().start() + sign + 1;
            } else {
                statements.extend(self.statement(part));
            }
        }
        let close = self.brace();
        let close = self.word_at(close, 1);
        Block { statements, close }
    }

    /// Returns where the brace is that closes a block: only comments stand before it.
    fn brace(&self) -> usize {
        let mut at = self.at;
        while let Some(rest) = self.text.get(at..) {
            match rest.bytes().next() {
                None | Some(b'}') => break,
                Some(b'#') => at += rest.find('\n').unwrap_or(rest.len()),
                Some(_) => at += 1,
            }
        }
        at
    }

    /// Adds the words of a pair that stands in such a place.
    fn words(&mut self, pair: Pair<'a, Rule>, place: Place, words: &mut Vec<Word<'a>>) {
        let rule = pair.as_rule();
        let (text, start) = (pair.as_str(), pair.as_span().start());
        let mut parts = pair.into_inner().peekable();
        if parts.peek().is_some() {
            let place = place.within(rule, start);
            parts.for_each(|part| self.words(part, place, words));
        } else if let Some((kind, sign)) = sign(rule, place) {
            // The pair of a sign has blanks and comments around it.
            let at = match kind {
                WordKind::RightBracket => text.len() - sign.len(),
                _ => text.find(sign).unwrap_or(0),
            };
            self.push(kind, start + at, sign, words);
        } else if !matches!(rule, Rule::end | Rule::EOI) {
            self.push(word_kind(rule), start, text, words);
        }
    }

    fn push(&mut self, kind: WordKind, start: usize, text: &'a str, words: &mut Vec<Word<'a>>) {
        let before = self.word_at(start, text.len());
        words.push(Word { kind, text, before });
    }

    /// Steps over a word and returns what stands before it.
    fn word_at(&mut self, start: usize, length: usize) -> Gap<'a> {
        let gap = self.gap(start);
        self.at = start + length;
        gap
    }

    /// Returns what stands from the last word to `end`.
    fn gap(&self, end: usize) -> Gap<'a> {
        let text = self.text.get(self.at..end).unwrap_or("");
        let mut gap = Gap::default();
        // The start of a file is one of a line.
        let mut line_ends = usize::from(self.at == 0);
        let mut lines = text.split('\n').peekable();
        while let Some(line) = lines.next() {
            if let Some(comment) = line.find('#').and_then(|at| line.get(at..)) {
                gap.comments.push(Comment {
                    text: comment.trim_end(),
                    own_line: line_ends > 0,
                    blank: line_ends > 1,
                });
                line_ends = 0;
            }
            line_ends += usize::from(lines.peek().is_some());
            gap.lines |= lines.peek().is_some();
        }
        gap.blank = line_ends > 1;
        gap
    }
}

fn kind(rule: Rule) -> Option<StatementKind> {
    Some(match rule {
        Rule::access => StatementKind::Access,
        Rule::container => StatementKind::Container,
        Rule::expect => StatementKind::Expect,
        Rule::expose => StatementKind::Expose,
        Rule::host => StatementKind::Host,
        Rule::include => StatementKind::Include,
        Rule::member => StatementKind::Member,
        Rule::network => StatementKind::Network,
        Rule::trust => StatementKind::Trust,
        Rule::antispoof
        | Rule::bridge
        | Rule::egress
        | Rule::engine
        | Rule::forward
        | Rule::forwarding
        | Rule::host_access
        | Rule::icc
        | Rule::log_denied
        | Rule::mark
        | Rule::others
        | Rule::route
        | Rule::subnet
        | Rule::sysctl
        | Rule::uplink => StatementKind::Setting,
        _ => return None,
    })
}

/// What a word is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The list of that number.
    List(usize),
    Statement,
    /// Ports, or where they are published: written without blanks.
    Value,
}

impl Place {
    /// Returns the place of a pair's parts.
    fn within(self, rule: Rule, start: usize) -> Place {
        match rule {
            Rule::addresses | Rule::from | Rule::parties | Rule::services | Rule::uplink => {
                Place::List(start)
            }
            Rule::ports | Rule::published => Place::Value,
            _ => self,
        }
    }
}

/// Returns what a sign is, and how it is written; `None` for a word.
fn sign(rule: Rule, place: Place) -> Option<(WordKind, &'static str)> {
    Some(match (rule, place) {
        (Rule::arrow, _) => (WordKind::Arrow, "->"),
        (Rule::comma, Place::List(list)) => (WordKind::Comma(list), ","),
        (Rule::comma, _) => (WordKind::Tight, ","),
        (Rule::colon, Place::Value) => (WordKind::Tight, ":"),
        (Rule::colon, _) => (WordKind::Colon, ":"),
        (Rule::dash, _) => (WordKind::Tight, "-"),
        (Rule::left_bracket, _) => (WordKind::LeftBracket, "["),
        (Rule::right_bracket, _) => (WordKind::RightBracket, "]"),
        (Rule::slash, _) => (WordKind::Tight, "/"),
        _ => return None,
    })
}

fn word_kind(rule: Rule) -> WordKind {
    if rule.keyword().is_some() {
        WordKind::Keyword
    } else {
        WordKind::Name
    }
}
