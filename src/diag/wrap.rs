//! Long sentences in lines that a terminal has room for.

/// Breaks each line of a text at spaces so that it has at most `width` columns, as far as its words
/// allow. What stands in backquotes stays in one piece: it is there to be copied.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let lines = text.lines().map(|line| wrapped_line(line, width));
    lines.collect::<Vec<_>>().join("\n")
}

fn wrapped_line(line: &str, width: usize) -> String {
    let mut text = String::with_capacity(line.len());
    let mut column = 0;
    for word in words(line) {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text
}

/// Splits at spaces outside of backquotes.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |letter| {
        quoted ^= letter == '`';
        letter == ' ' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_spaces_and_quoted_text_stays_whole() {
        assert_eq!(wrapped("one two three", 7), "one two\nthree");
        assert_eq!(wrapped("one two three", 13), "one two three");
        assert_eq!(wrapped("say `a b c` now", 8), "say\n`a b c`\nnow");
        assert_eq!(wrapped("unbreakable", 4), "unbreakable");
        assert_eq!(wrapped("a\n\nb  c", 40), "a\n\nb  c");
        assert_eq!(wrapped("", 40), "");
    }
}
