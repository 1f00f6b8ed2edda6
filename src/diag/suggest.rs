//! The nearest known name to a misspelt one.

/// Names longer than this are not compared: the work grows with the square of the length.
const LONGEST: usize = 64;

/// Returns the known name that `wanted` was most likely meant to be, if one is near enough: a
/// third of the letters may be wrong. Among equally near names the first in the alphabet wins, so
/// the answer does not depend on the order of `known`.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(wanted);
    let limit = wanted.len().max(3) / 3;
    if wanted.len() > LONGEST {
        return None;
    }
    known
        .into_iter()
        .filter(|name| name.chars().count().abs_diff(wanted.len()) <= limit)
        .map(|name| (distance(&wanted, &folded(name)), name))
        .filter(|(distance, name)| *distance <= limit && *distance < name.chars().count())
        .min()
        .map(|(_, name)| name)
}

/// Upper case instead of lower case is a slip that costs nothing.
fn folded(name: &str) -> Vec<char> {
    name.chars()
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

/// Returns how many letters must be added, left out, changed or swapped with their neighbour to
/// get from `a` to `b`: the Damerau-Levenshtein distance, no letter touched twice.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last_a = None;
    for (row, &letter_a) in a.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut last_b = None;
        for (column, &letter_b) in b.iter().enumerate() {
            let at =
                |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX);
            let changed = at(&above, column) + usize::from(letter_a != letter_b);
            let grown = at(&above, column + 1).min(at(&current, column)) + 1;
            let mut best = changed.min(grown);
            if last_a == Some(letter_b) && last_b == Some(letter_a) {
                best = best.min(at(&before, column.wrapping_sub(1)).saturating_add(1));
            }
            current.push(best);
            last_b = Some(letter_b);
        }
        before = std::mem::replace(&mut above, current);
        last_a = Some(letter_a);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{distance, folded, nearest};

    #[test]
    fn a_swap_of_neighbours_is_one_step() {
        for (a, b, steps) in [
            ("", "", 0),
            ("", "abc", 3),
            ("expsoe", "expose", 1),
            ("contaner", "container", 1),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
            ("ca", "abc", 3),
        ] {
            assert_eq!(distance(&folded(a), &folded(b)), steps, "{a} {b}");
            assert_eq!(distance(&folded(b), &folded(a)), steps, "{b} {a}");
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        let known = ["container", "host", "link", "network"];
        assert_eq!(nearest("nework", known), Some("network"));
        assert_eq!(nearest("Link", known), Some("link"));
        assert_eq!(nearest("hots", known), Some("host"));
        assert_eq!(nearest("firewall", known), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"a".repeat(1000), known), None);
    }

    #[test]
    fn ties_do_not_depend_on_the_order() {
        assert_eq!(nearest("web", ["wec", "wea"]), Some("wea"));
        assert_eq!(nearest("web", ["wea", "wec"]), Some("wea"));
    }
}
