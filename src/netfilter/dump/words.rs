//! Splits a rule into words as iptables-restore(8) does.

/// Most words of a rule; `MAX_ARGC` of iptables' `xshared.h`.
pub(super) const MAX_WORDS: usize = 255;

/// A word, and whether quotes stood around it or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    pub quoted: bool,
}

impl Word {
    /// Tells whether the word names an option instead of being its value.
    pub(super) fn is_option(&self) -> bool {
        let letter = |at| {
            self.text
                .as_bytes()
                .get(at)
                .is_some_and(u8::is_ascii_alphabetic)
        };
        let long = self.text.starts_with("--") && letter(2);
        !self.quoted && (long || (self.text.starts_with('-') && letter(1)))
    }

    pub(super) fn is_not(&self) -> bool {
        !self.quoted && self.text == "!"
    }
}

/// Returns the words of a line; nothing where a quote stays open.
///
/// Inside of double quotes a backslash takes the next character as it is; see `add_param_to_argv`
/// of iptables' `xshared.c`.
pub(super) fn words(line: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let (mut open, mut escaped) = (false, false);
    for character in line.chars() {
        let blank = character == ' ' || character == '\t';
        if blank && !open {
            words.extend(word.take());
            continue;
        }
        let now = word.get_or_insert(Word {
            text: String::new(),
            quoted: false,
        });
        match character {
            _ if escaped => {
                now.text.push(character);
                escaped = false;
            }
            '\\' if open => escaped = true,
            '"' => {
                open = !open;
                now.quoted = true;
            }
            _ => now.text.push(character),
        }
    }
    words.extend(word);
    (!open).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together() {
        let texts = |line: &str| -> Option<Vec<String>> {
            let found = words(line)?;
            Some(found.into_iter().map(|word| word.text).collect())
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
