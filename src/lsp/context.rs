//! What stands before the place where somebody types.

/// The statement that is being typed.
#[derive(Debug, Default)]
pub(super) struct Context<'a> {
    /// The first word of the item in whose block it stands.
    pub(super) block: Option<&'a str>,
    /// Its words and signs before the one that is typed.
    pub(super) before: Vec<&'a str>,
    /// Where the word that is typed starts.
    pub(super) start: usize,
}

impl<'a> Context<'a> {
    /// Reads what stands before an offset; nothing where that is in a comment or in quotes.
    pub(super) fn at(text: &'a str, offset: usize) -> Option<Self> {
        let typed = text.get(..offset)?;
        let start = typed.trim_end_matches(is_letter).len();
        let mut scan = Scan::default();
        let mut rest = text.get(..start)?;
        while let Some(letter) = rest.chars().next() {
            let length = match letter {
                '#' => rest.find('\n')?,
                '"' => rest.get(1..)?.find(['"', '\n'])? + 2,
                '-' if rest.starts_with("->") => 2,
                _ if is_letter(letter) => word(rest),
                _ => letter.len_utf8(),
            };
            let (token, after) = rest.split_at_checked(length)?;
            scan.token(token);
            rest = after;
        }
        Some(Context {
            block: scan.blocks.last().copied(),
            before: scan.statement,
            start,
        })
    }

    pub(super) fn first(&self) -> &'a str {
        self.before.first().copied().unwrap_or("")
    }

    pub(super) fn last(&self) -> &'a str {
        self.before.last().copied().unwrap_or("")
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.before.contains(&word)
    }
}

#[derive(Debug, Default)]
struct Scan<'a> {
    /// The first words of the blocks that are open.
    blocks: Vec<&'a str>,
    statement: Vec<&'a str>,
}

impl<'a> Scan<'a> {
    fn token(&mut self, token: &'a str) {
        let goes_on = matches!(self.statement.last(), Some(&("," | "->" | ":")));
        let in_set = self.blocks.last() == Some(&"trust");
        match token {
            " " | "\t" | "\r" => {}
            "\n" if goes_on => {}
            "\n" => self.statement.clear(),
            "," if in_set => self.statement.clear(),
            "{" => {
                let head = self.statement.first().copied();
                self.blocks.push(head.unwrap_or(""));
                self.statement.clear();
            }
            "}" => {
                self.blocks.pop();
                self.statement.clear();
            }
            comment if comment.starts_with('#') => {}
            token => self.statement.push(token),
        }
    }
}

fn is_letter(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-')
}

/// Returns the length of the word that a text starts with, which ends before an arrow.
fn word(text: &str) -> usize {
    let end = text.find(|letter| !is_letter(letter)).unwrap_or(text.len());
    let arrow = text.get(end..).is_some_and(|rest| rest.starts_with('>'));
    if arrow && end > 1 { end - 1 } else { end }
}
