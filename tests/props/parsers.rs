//! Parsers of what others may have written: any text is read or refused, and never ends the program.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidegate::artifact::{Bundle, MANIFEST, PARTIES, SOURCE_MAP, sha256};
use tidegate::compile::{compile, recovered};
use tidegate::netfilter::docker::{DockerSetup, VERSIONS, guard};
use tidegate::netfilter::{Family, dump, save};
use tidegate::policy::load;

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

/// What somebody does to a saved text; places are taken modulo the text's length.
#[derive(Debug, Clone)]
enum Edit {
    /// Some bits of one byte change.
    Flip(usize, u8),
    Cut(usize),
    LineGone(usize),
    /// A line comes again, elsewhere.
    LineTwice(usize, usize),
    /// A word of the text changes place with another.
    WordsSwapped(usize, usize),
    /// A word is repeated, as a list or as words.
    WordGrown(usize, usize, bool),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = || 0usize..100_000;
    prop_oneof![
        (at(), 1u8..).prop_map(|(at, bits)| Edit::Flip(at, bits)),
        at().prop_map(Edit::Cut),
        at().prop_map(Edit::LineGone),
        (at(), at()).prop_map(|(from, to)| Edit::LineTwice(from, to)),
        (at(), at()).prop_map(|(one, other)| Edit::WordsSwapped(one, other)),
        (at(), 0usize..40_000, any::<bool>())
            .prop_map(|(at, times, list)| Edit::WordGrown(at, times, list)),
    ]
}

fn edited(text: &str, edit: &Edit) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut words: Vec<&str> = text.split_inclusive([' ', '\n']).collect();
    let (line_count, word_count) = (lines.len().max(1), words.len().max(1));
    let mut bytes = text.as_bytes().to_vec();
    let byte_count = bytes.len().max(1);
    match *edit {
        _ if text.is_empty() => {}
        Edit::Flip(at, bits) => bytes[at % byte_count] ^= bits,
        Edit::Cut(at) => bytes.truncate(at % byte_count),
        Edit::LineGone(at) => {
            lines.remove(at % line_count);
            return lines.concat();
        }
        Edit::LineTwice(from, to) => {
            lines.insert(to % line_count, lines[from % line_count]);
            return lines.concat();
        }
        Edit::WordsSwapped(one, other) => {
            words.swap(one % word_count, other % word_count);
            return words.concat();
        }
        Edit::WordGrown(at, times, list) => {
            let word = words[at % word_count].trim_end();
            let times = times.min(200_000 / (word.len() + 1));
            let many = format!("{word}{}", if list { "," } else { " " }).repeat(times);
            words.insert(at % word_count, &many);
            return words.concat();
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns what a host with an engine prints.
fn saved(version: (u32, u32), v6: bool) -> String {
    let loaded = load(&Files::one(POLICY), "policy.tide");
    let policy = loaded.policy().expect("the policy is right");
    let setup = DockerSetup {
        version,
        ..DockerSetup::of(policy)
    };
    let name = if v6 { "rules.v6" } else { "rules.v4" };
    let engine = setup.rules(policy, v6);
    format!("{engine}{}{}", guard(policy, &engine), files()[name])
}

proptest! {
    #[test]
    fn a_damaged_dump_is_read_or_refused_by_its_line(
        version in prop::sample::select(VERSIONS.to_vec()),
        v6: bool,
        edits in prop::collection::vec(edit(), 0..6),
    ) {
        let whole = saved(version, v6);
        let text = edits.iter().fold(whole, |text, edit| edited(&text, edit));
        let family = if v6 { Family::V6 } else { Family::V4 };
        match dump::read(&text, family) {
            Ok(dump) => prop_assert!(dump.rule_count() <= text.lines().count()),
            Err(error) => {
                prop_assert!(!edits.is_empty(), "{error}");
                prop_assert!((1..=text.lines().count()).contains(&error.line), "{error}");
                prop_assert!(error.to_string().len() < 1_000);
            }
        }
    }

    /// Whatever stands in a manifest, no policy comes of it that is not one.
    #[test]
    fn a_damaged_manifest_is_recovered_or_refused(
        in_parties: bool, at in 0usize..20_000, gone in 0usize..9, new in "[a-z0-9.:,>/-]{0,9}",
    ) {
        let mut texts = [MANIFEST, PARTIES].map(|name| files()[name].clone());
        let text = &mut texts[usize::from(in_parties)];
        *text = damaged(text, at, gone, &new);
        let (manifest, parties) = (serde_json::from_str(&texts[0]), serde_json::from_str(&texts[1]));
        if let (Ok(manifest), Ok(parties)) = (manifest, parties)
            && let Ok(policy) = recovered(&manifest, &parties)
        {
            let _ = DockerSetup::of(&policy).rules(&policy, false);
        }
    }

    /// Nor does a damaged map of lines name what is not there.
    #[test]
    fn a_damaged_source_map_is_read_or_refused(
        at in 0usize..20_000, gone in 0usize..9, new in "[a-z0-9.:,>/-]{0,9}",
    ) {
        let mut files = files().clone();
        let text = damaged(&files[SOURCE_MAP], at, gone, &new);
        let hashes = [&files[SOURCE_MAP], &text].map(|text| sha256(text.as_bytes()));
        let manifest = files[MANIFEST].replace(&hashes[0], &hashes[1]);
        files.extend([(MANIFEST.to_owned(), manifest), (SOURCE_MAP.to_owned(), text)]);
        let bundle = Bundle::read(files).expect("the hashes fit");
        match bundle.origins() {
            Ok(origins) => for family in Family::BOTH {
                for (table, name, chain) in origins.chains(family) {
                    let named = chain.rules.iter().flatten().count();
                    prop_assert_eq!(origins.of_chain(family, table, name).count(), named);
                }
            }
            Err(error) => prop_assert!(error.to_string().starts_with(SOURCE_MAP), "{}", error),
        }
    }

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
