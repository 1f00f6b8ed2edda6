//! Parsers of what others may have written: any text is read or refused, and never ends the program.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidegate::artifact::{Bundle, MANIFEST};
use tidegate::compile::compile;
use tidegate::netfilter::save;

use crate::support::files::Files;

const POLICY: &str = "network n {\n  bridge br0\n  subnet 10.0.0.0/24\n}\n\
                      container c on n {\n  expose 80/tcp as 80 from any\n}\n";

fn files() -> BTreeMap<String, String> {
    let bundle = compile(&Files::one(POLICY), "policy.tide")
        .bundle()
        .expect("the policy is right");
    bundle.files().clone()
}

/// Changes a text in one place: takes some of it out and puts something in.
fn damaged(text: &str, at: usize, gone: usize, new: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = at % (chars.len() + 1);
    let end = (at + gone).min(chars.len());
    chars[..at]
        .iter()
        .copied()
        .chain(new.chars())
        .chain(chars[end..].iter().copied())
        .collect()
}

proptest! {
    #[test]
    fn any_text_is_a_rule_set_or_an_error(text in "(?s).{0,400}") {
        let _ = save::parse(&text);
    }

    #[test]
    fn a_damaged_rule_set_is_read_or_refused(
        at in 0usize..20_000, gone in 0usize..40, new in "[-:*A-Z \n\"\\\\\u{0}]{0,12}",
    ) {
        let text = damaged(&files()["rules.v4"], at, gone, &new);
        if let Err(error) = save::parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    /// Whatever is done to one file of a bundle, it is noticed.
    #[test]
    fn a_damaged_bundle_is_never_taken_for_the_whole_one(
        name in 0usize..5, at in 0usize..20_000, gone in 1usize..40, new in "[a-z0-9 \n{}\",:]{0,12}",
    ) {
        let whole = files();
        let name = whole.keys().nth(name % whole.len()).expect("a file").clone();
        let text = damaged(&whole[&name], at, gone, &new);
        prop_assume!(text != whole[&name]);
        let mut changed = whole.clone();
        changed.insert(name.clone(), text);
        let version = Bundle::read(whole).expect("it is whole").version().to_owned();
        match Bundle::read(changed) {
            Err(_) => {}
            // A manifest that is still one has another hash, and so is another version.
            Ok(bundle) => prop_assert!(name == MANIFEST && bundle.version() != version),
        }
    }
}
