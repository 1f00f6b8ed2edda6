//! Characters that do not show, or that make text look like other text.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Tells whether a character does not show for what it is: a control character, a blank without
/// width, or a mark that turns the direction of writing (CVE-2021-42574). Line ends and tabs are
/// among them.
pub(crate) fn is_hidden(letter: char) -> bool {
    let mark = matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    );
    mark || letter.is_control()
}

/// Returns a text for people and programs, where only line ends and tabs are hidden letters. The others
/// are written as JSON has them, `\u202e`, so that a JSON text means the same as before.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if text.contains(must_not_act) {
        Cow::Owned(text.chars().map(shown).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Like [`escaped`], but leaves colours as they are, for texts that have put them in themselves.
pub(crate) fn escaped_but_colours(text: &str) -> String {
    let mut clean = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, sequence) = rest.split_at(at);
        // At least the escape itself, and that is one byte.
        let length = colour(sequence).unwrap_or(0);
        let (sequence, behind) = sequence.split_at(length.max(1));
        clean += &escaped(before);
        clean += &if length > 0 {
            sequence.into()
        } else {
            escaped(sequence)
        };
        rest = behind;
    }
    clean + &escaped(rest)
}

/// Returns the length of a sequence that a text begins with, if it does no more than to set colours;
/// "Select Graphic Rendition" in ECMA-48.
fn colour(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\u{1b}[")?;
    let end = numbers.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
    numbers.get(end..)?.starts_with('m').then_some(end + 3)
}

fn must_not_act(letter: char) -> bool {
    is_hidden(letter) && !matches!(letter, '\n' | '\t')
}

fn shown(letter: char) -> String {
    if !must_not_act(letter) {
        return letter.to_string();
    }
    let mut units = [0; 2];
    let units = letter.encode_utf16(&mut units);
    let mut text = String::new();
    for unit in units {
        let _ = write!(text, "\\u{unit:04x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_act() {
        assert_eq!(escaped("plain\n\ttext"), "plain\n\ttext");
        assert_eq!(escaped("a\u{1b}[2Jb\rc"), "a\\u001b[2Jb\\u000dc");
        let json = serde_json::to_string("\u{202e}x\u{e0001}\u{7f}").unwrap();
        let clean = escaped(&json);
        assert!(clean.is_ascii(), "{clean}");
        let back: String = serde_json::from_str(&clean).unwrap();
        assert_eq!(back, "\u{202e}x\u{e0001}\u{7f}");
    }

    #[test]
    fn colours_stay_and_nothing_else() {
        let text = "\u{1b}[1;31mred\u{1b}[0m \u{1b}[2J\u{1b}]0;title\u{7}\u{1b}";
        let clean = "\u{1b}[1;31mred\u{1b}[0m \\u001b[2J\\u001b]0;title\\u0007\\u001b";
        assert_eq!(escaped_but_colours(text), clean);
    }
}
