//! Words of a policy inside other languages, where none of their letters may mean anything.

use std::fmt::Write;

use crate::diag::hidden::is_hidden;

/// Escapes for the text and the attributes of XML and HTML. What XML 1.0 has no place for, control
/// letters, becomes U+FFFD; see section 2.2 of its specification.
pub fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(letter),
            _ if is_hidden(letter) => safe.push('\u{fffd}'),
            _ => safe.push(letter),
        }
    }
    safe
}

/// Escapes for a quoted string of the DOT language, where `\` begins escapes of Graphviz's own.
pub(super) fn dot(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\\' => safe.extend(['\\', letter]),
            '\n' => safe.push_str("\\n"),
            _ if is_hidden(letter) => safe.push('\u{fffd}'),
            _ => safe.push(letter),
        }
    }
    safe
}

/// Escapes for a quoted text of Mermaid, which knows letters by their numbers: `#35;`.
pub(super) fn mermaid(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => safe.push_str("<br>"),
            _ if is_hidden(letter) => safe.push('\u{fffd}'),
            _ if letter.is_alphanumeric() || " -_.,:/()".contains(letter) => safe.push(letter),
            _ => {
                let _ = write!(safe, "#{};", u32::from(letter));
            }
        }
    }
    safe
}
