//! What iptables-save(8) printed as text that loses nothing: any bytes, one rule a line.
//!
//! A comment may hold any byte but NUL, a line break among them, and iptables-save prints it as it is,
//! in quotes. A byte that would end a line there or is no UTF-8 becomes one of 256 characters for private
//! use; a character that is one of those already becomes its own bytes.

use std::fmt::Write as _;

/// What byte 0 becomes. Unicode 15, section 23.5: U+E000 to U+F8FF mean nothing by themselves.
const FIRST: u32 = 0xee00;

fn stand_in(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Returns the byte that a character stands for.
fn stood_for(character: char) -> Option<u8> {
    let above = u32::from(character).checked_sub(FIRST)?;
    u8::try_from(above).ok()
}

/// Returns the bytes as text; [`bytes`] gives them back.
pub fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = line_end(rest);
        let (line, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        let (line, ending) = match line.split_last() {
            Some((b'\n', line)) => (line, "\n"),
            _ => (line, ""),
        };
        push_line(&mut text, line);
        text.push_str(ending);
        rest = behind;
    }
    text
}

/// Returns the bytes that a text stands for.
pub fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match stood_for(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

/// Returns a text for people: bytes that stand in it as `\n`, `\xe9` and the like.
pub fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // Writing to a String cannot fail.
        let _ = match stood_for(character) {
            Some(b'\n') => write!(shown, "\\n"),
            Some(byte) => write!(shown, "\\x{byte:02x}"),
            None => write!(shown, "{character}"),
        };
    }
    shown
}

/// Returns whether a rule holds a line break, which no line of iptables-restore(8) can have.
pub fn is_broken(rule: &str) -> bool {
    rule.contains(stand_in(b'\n'))
}

/// Returns how long the first line is, its end included. Line breaks in quotes are within a rule, unless
/// a quote stays open to the end.
fn line_end(text: &[u8]) -> usize {
    let plain = text.iter().position(|byte| *byte == b'\n');
    let plain = plain.map_or(text.len(), |at| at + 1);
    let is_rule = matches!(text.first(), Some(b'-' | b'['));
    if !is_rule || !text.get(..plain).is_some_and(|line| line.contains(&b'"')) {
        return plain;
    }
    let mut quotes = Quotes::default();
    let end = text.iter().position(|byte| {
        quotes.pass(*byte);
        *byte == b'\n' && !quotes.open
    });
    match end {
        Some(at) => at + 1,
        None if quotes.open => plain,
        None => text.len(),
    }
}

/// Quotes as `xtables_save_string` of iptables writes them: behind a blank, and a backslash takes the
/// next byte as it is.
struct Quotes {
    open: bool,
    escaped: bool,
    before: u8,
}

impl Default for Quotes {
    fn default() -> Self {
        Quotes {
            open: false,
            escaped: false,
            before: b' ',
        }
    }
}

impl Quotes {
    fn pass(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.open => self.escaped = true,
            b'"' if self.open => self.open = false,
            b'"' => self.open = self.before == b' ',
            _ => {}
        }
        self.before = byte;
    }
}

fn push_line(text: &mut String, line: &[u8]) {
    for chunk in line.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\n' || stood_for(character).is_some() {
                let mut room = [0; 4];
                let bytes = character.encode_utf8(&mut room).bytes();
                text.extend(bytes.map(stand_in));
            } else {
                text.push(character);
            }
        }
        text.extend(chunk.invalid().iter().copied().map(stand_in));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_was_saved_comes_back(saved in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(bytes(&text(&saved)), saved);
        }

        #[test]
        fn a_comment_is_within_one_line(comment in "[ -~\n\u{ee00}-\u{eeff}]{0,40}") {
            let quoted = comment.replace('\\', "\\\\").replace('"', "\\\"");
            let saved = format!("-A X -m comment --comment \"{quoted}\" -j DROP\nCOMMIT\n");
            prop_assert_eq!(text(saved.as_bytes()).lines().count(), 2);
        }
    }

    #[test]
    fn a_line_break_in_quotes_ends_no_rule() {
        let saved =
            b"*filter\n-A INPUT -m comment --comment \"first\nCOMMIT\n-A x\" -j DROP\nCOMMIT\n";
        let text = text(saved);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(is_broken(text.lines().nth(1).unwrap()));
        assert_eq!(bytes(&text), saved);
        assert!(shown(&text).contains(r#""first\nCOMMIT\n-A x" -j DROP"#));
    }

    #[test]
    fn quotes_that_are_none_hide_no_line() {
        // A kernel takes `a"b` for an interface, and a quote may be escaped.
        for saved in [
            "-A INPUT -i a\"b -j DROP\n-A INPUT -j ACCEPT\n",
            "-A INPUT -m comment --comment \"a \\\"\" -j DROP\n-A INPUT\n",
            "-A INPUT -m comment --comment \"open\n-A INPUT\n",
            "# it is \"said\nCOMMIT\n",
        ] {
            assert_eq!(text(saved.as_bytes()), saved);
        }
    }

    #[test]
    fn any_bytes_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [&all[..], b"caf\xe9 \xc3\xa9", "\u{ee41}\u{85}".as_bytes()] {
            let text = text(bytes);
            assert_eq!(super::bytes(&text), bytes);
        }
        assert_eq!(shown(&text(b"caf\xe9")), "caf\\xe9");
    }
}
