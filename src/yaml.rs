//! YAML that anybody may have written.

use serde::de::DeserializeOwned;

/// How many brackets may be open. The parser has a limit of its own, 128, but looks at it late: its
/// time grows with the square of what is open, and 100,000 brackets take it minutes.
const DEPTH: usize = 256;

/// Reads a text.
///
/// Errors: what the parser says. It refuses deep nesting and texts that grow when their aliases are
/// filled in.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if is_deep(text) {
        return Err(format!("more than {DEPTH} brackets are open at once"));
    }
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}

/// Counts brackets wherever they stand, in strings as well: none has so many of one kind only.
fn is_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_ends_before_it_takes_time() {
        let nested = |open: &str, close: &str, times| open.repeat(times) + &close.repeat(times);
        let read = |text: &str| read::<serde_yaml::Value>(text);
        read(&nested("[", "]", 100)).unwrap();
        for open in ["[", "{a: "] {
            let text = nested(open, "", 1_000_000);
            assert_eq!(
                read(&text).unwrap_err(),
                "more than 256 brackets are open at once"
            );
        }
        read(&nested("- ", "", 100_000)).unwrap_err();
    }

    #[test]
    fn aliases_cannot_grow_without_end() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for step in 1..12 {
            let ten = vec![format!("*a{}", step - 1); 10].join(", ");
            let line = format!("a{step}: &a{step} [{ten}]\n");
            text.push_str(&line);
        }
        let error = read::<serde_yaml::Value>(&text).unwrap_err();
        assert!(error.contains("repetition limit"), "{error}");
    }
}
