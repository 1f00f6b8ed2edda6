//! The words that start items and statements.

/// Words kept for later versions of the language.
pub(super) const RESERVED: [&str; 6] = ["group", "let", "port", "service", "tag", "when"];

/// Returns words in backquotes, with commas between them.
pub(super) fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
