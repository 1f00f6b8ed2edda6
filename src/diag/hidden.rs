//! Characters that do not show, or that make text look like other text.

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
