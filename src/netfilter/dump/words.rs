//! Splits a rule into words as iptables-restore(8) does.

use std::borrow::Cow;

/// Most words of a rule; `MAX_ARGC` of iptables' `xshared.h`.
pub(super) const MAX_WORDS: usize = 255;

/// A word, and whether quotes stood around it or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'l> {
    /// A part of the line, unless quotes in its middle or a backslash make it another text.
    pub text: Cow<'l, str>,
    pub quoted: bool,
}

impl Word<'_> {
    /// Tells whether the word names an option instead of being its value.
    pub(super) fn is_option(&self) -> bool {
        let letter = |at| {
            self.text
                .as_bytes()
                .get(at)
                .is_some_and(u8::is_ascii_alphabetic)
        };
        let long = self.text.starts_with("--") && letter(2);
        let family = self.text == "-4" || self.text == "-6";
        !self.quoted && (long || family || (self.text.starts_with('-') && letter(1)))
    }

    /// Returns the word as it may stand in a line.
    pub(super) fn written(&self) -> String {
        if self.quoted {
            let text = self.text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{text}\"")
        } else {
            self.text.to_string()
        }
    }

    pub(super) fn is_not(&self) -> bool {
        !self.quoted && self.text == "!"
    }
}

/// Returns the words of a line; nothing where a quote stays open.
///
/// Inside of double quotes a backslash takes the next character as it is; see `add_param_to_argv`
/// of iptables' `xshared.c`.
pub(super) fn words(line: &str) -> Option<Vec<Word<'_>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start_matches(BLANKS);
    while !rest.is_empty() {
        // Most words have no quotes, and are a part of the line.
        let end = rest.find(BLANKS).unwrap_or(rest.len());
        let (plain, behind) = rest.split_at(end);
        let (word, behind) = if plain.contains('"') {
            quoted(rest)?
        } else {
            let text = Cow::Borrowed(plain);
            let quoted = false;
            (Word { text, quoted }, behind)
        };
        words.push(word);
        rest = behind.trim_start_matches(BLANKS);
    }
    Some(words)
}

pub(super) const BLANKS: [char; 2] = [' ', '\t'];

/// Takes a word with quotes from the beginning of a text, and returns also what is behind it.
fn quoted(text: &str) -> Option<(Word<'_>, &str)> {
    let mut word = String::new();
    let (mut open, mut escaped) = (false, false);
    let mut end = text.len();
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => {
                word.push(character);
                escaped = false;
            }
            ' ' | '\t' if !open => {
                end = at;
                break;
            }
            '\\' if open => escaped = true,
            '"' => open = !open,
            _ => word.push(character),
        }
    }
    let word = Word {
        text: Cow::Owned(word),
        quoted: true,
    };
    let behind = text.get(end..).unwrap_or("");
    (!open).then_some((word, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together() {
        let texts = |line: &str| -> Option<Vec<String>> {
            let found = words(line)?;
            Some(
                found
                    .into_iter()
                    .map(|word| word.text.into_owned())
                    .collect(),
            )
        };
        assert_eq!(texts("-s  10.0.0.1\t-j X").unwrap().len(), 4);
        assert_eq!(
            texts(r#"--comment "a \"b\" -j c" -j D"#).unwrap(),
            ["--comment", r#"a "b" -j c"#, "-j", "D"]
        );
        assert_eq!(texts(r#"--comment """#).unwrap(), ["--comment", ""]);
        assert_eq!(texts(r#"--comment "open"#), None);
    }

    #[test]
    fn numbers_and_quoted_words_are_no_options() {
        let first = |line: &str| words(line).unwrap().remove(0).is_option();
        assert!(first("-s") && first("--dport"));
        assert!(!first("-1") && !first(r#""-j""#) && !first("-") && !first("--"));
    }
}
