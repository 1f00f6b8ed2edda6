//! What a boot loads where copies of bundles are damaged: the newest that is intact, or nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tidegate::artifact::Bundle;
use tidegate::deploy::{self, ApplyError, Options};
use tidegate::host::{Host, Variant};
use tidegate::netfilter::Family;

use super::place::bundle_of;
use super::tally::Tally;
use crate::props::dice::Dice;
use crate::support::bundle::write;
use crate::support::env::{Env, on};

const BOOT: Options = Options {
    boot: true,
    at_once: false,
    again: false,
    keep_connections: true,
};

/// Three bundles that were in force one after the other, and each copy of them, the newest first.
struct Store<'e> {
    env: &'e Env,
    bundles: Vec<Bundle>,
    /// What is in force with each.
    rules: Vec<Vec<String>>,
    copies: Vec<(PathBuf, usize)>,
}

impl<'e> Store<'e> {
    fn new(env: &'e Env) -> Self {
        let bundles: Vec<Bundle> = ["5432", "9187", "6379"].map(bundle_of).into();
        let apply = |bundle| {
            deploy::apply(&env.host, bundle, Options::default()).unwrap();
            env.everything()
        };
        let rules = bundles.iter().map(apply).collect();
        let root = env.root.path().join("var/lib/tidegate");
        let past = |at: usize| (root.join("history").join(bundles[at].version()), at);
        let copies = vec![
            (root.join("current"), 2),
            past(2),
            past(1),
            past(0),
            (root.join("previous"), 1),
        ];
        Store {
            env,
            bundles,
            rules,
            copies,
        }
    }

    /// Makes all copies whole again, and empties the kernel's tables.
    fn heal(&self) {
        for (folder, at) in &self.copies {
            fs::remove_dir_all(folder).ok();
            write(&self.bundles[*at], folder);
        }
        for family in Family::BOTH {
            for table in ["mangle", "filter"] {
                let policy = if table == "filter" {
                    ":FORWARD ACCEPT [0:0]\n"
                } else {
                    ""
                };
                let text = format!("*{table}\n{policy}-F\n-X\nCOMMIT\n");
                self.env.load(family, &text);
            }
        }
    }

    /// Returns whether a copy has every file as it was compiled, and no other.
    fn is_intact(&self, (folder, at): &(PathBuf, usize)) -> bool {
        let files = fs::read_dir(folder).into_iter().flatten();
        let text = |path: &Path| String::from_utf8(fs::read(path).ok()?).ok();
        let files: BTreeMap<String, Option<String>> = files
            .map(|file| file.unwrap())
            .map(|file| (file.file_name().into_string().unwrap(), text(&file.path())))
            .collect();
        let wanted = self.bundles[*at].files().iter();
        files
            .into_iter()
            .eq(wanted.map(|(name, text)| (name.clone(), Some(text.clone()))))
    }

    /// Boots, and checks that the newest intact copy is in force, and that others are told.
    fn boots(&self) {
        let newest = self.copies.iter().position(|copy| self.is_intact(copy));
        let bare = self.env.everything();
        let ended = deploy::apply_installed(&self.env.host, BOOT);
        match (newest, ended) {
            (Some(0), Ok(_)) => assert_eq!(self.env.everything(), self.rules[2]),
            (Some(copy), Err(ApplyError::Instead(problem))) => {
                assert_eq!(self.env.everything(), self.rules[self.copies[copy].1]);
                let at = self.copies[copy].1;
                let text = problem.to_string();
                assert!(text.contains(self.bundles[at].short_version()), "{text}");
                assert!(!deploy::drift(&self.env.host).is_ok_and(|drift| drift.is_clean()));
            }
            (None, Err(ApplyError::Refused(_))) => assert_eq!(self.env.everything(), bare),
            (newest, ended) => panic!("{newest:?}: {ended:?}"),
        }
    }
}

/// Damages a copy: a file cut, edited, gone or one too many, or all of it gone.
fn damage(dice: &mut Dice, folder: &Path, bundle: &Bundle) {
    let names: Vec<String> = bundle.files().keys().cloned().collect();
    let path = folder.join(dice.pick(&names));
    let mut bytes = fs::read(&path).unwrap();
    let at = dice.below(bytes.len());
    match dice.below(6) {
        0 => bytes.truncate(at),
        // Not in the manifest: it has no hash over it, and what it says is compared with the files.
        1 | 2 if !path.ends_with("manifest.json") => bytes[at] ^= 1 << dice.below(7),
        3 => return fs::remove_file(&path).unwrap(),
        4 => return fs::write(folder.join("rules.v5"), "").unwrap(),
        5 => return fs::remove_dir_all(folder).unwrap(),
        _ => bytes.clear(),
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_boot_loads_the_newest_copy_that_is_intact() {
    on(Variant::Nft, |env| {
        let seed = 16;
        writeln!(io::stderr(), "seed {seed}").ok();
        let mut dice = Dice::new(seed);
        let store = Store::new(env);
        let mut tally = Tally::of("some copies of bundles damaged, then a boot");
        for round in 0..60 {
            tally.fault(|| {
                store.heal();
                for (at, (folder, bundle)) in store.copies.iter().enumerate() {
                    // The newest nearly always, all of them now and then.
                    if (at == 0 && round > 0) || dice.one_in(2) || round % 20 == 19 {
                        damage(&mut dice, folder, &store.bundles[*bundle]);
                    }
                }
                store.boots();
            });
        }
    });
}

#[test]
fn a_list_of_the_history_that_is_lost_costs_nothing_but_the_order() {
    on(Variant::Nft, |env| {
        let store = Store::new(env);
        for text in ["", "[", "[{}]"] {
            store.heal();
            let list = env.root.path().join("var/lib/tidegate/history/list.json");
            fs::write(list, text).unwrap();
            for gone in [0, 2, 3, 4] {
                fs::remove_dir_all(&store.copies[gone].0).unwrap();
            }
            store.boots();
        }
    });
}

/// Each byte of each file, without the program: it is the same function that reads them. A manifest is
/// another version then, under whose name no copy lies.
#[test]
fn no_edited_byte_goes_unseen() {
    on(Variant::Nft, |env| {
        let store = Store::new(env);
        let bundle = &store.bundles[0];
        let mut tally = Tally::of("a byte of a bundle edited");
        for (name, text) in bundle.files() {
            for at in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1;
                let Ok(edited) = String::from_utf8(bytes) else {
                    continue; // a file that is no text is refused
                };
                tally.fault(|| {
                    let mut files = bundle.files().clone();
                    files.insert(name.clone(), edited);
                    let read = Bundle::read(files);
                    assert!(
                        read.is_err() || name == "manifest.json",
                        "{name}, byte {at}"
                    );
                    assert!(read.is_err() || read.unwrap().version() != bundle.version());
                });
            }
        }
    });
}

/// What closes first stays where nothing is loaded, and goes with the load of a bundle.
#[test]
fn what_closes_first_stays_until_a_bundle_is_loaded() {
    on(Variant::Nft, |env| {
        let store = Store::new(env);
        store.heal();
        let closed = "*mangle\n:TIDE-CLOSED - [0:0]\n-A TIDE-CLOSED -o br-+ -j DROP\n\
                      -I FORWARD -j TIDE-CLOSED\nCOMMIT\n*filter\n:TIDE-CLOSED-OUT - [0:0]\n\
                      -A TIDE-CLOSED-OUT -o br-+ -j DROP\n-I OUTPUT -j TIDE-CLOSED-OUT\nCOMMIT\n";
        for family in Family::BOTH {
            env.load(family, closed);
        }
        let before = env.everything();
        for (folder, _) in &store.copies {
            fs::write(folder.join("rules.v4"), "").unwrap();
        }
        store.boots();
        assert_eq!(env.everything(), before);
        let drift = deploy::drift(&env.host).unwrap();
        assert!(!drift.is_clean());

        deploy::apply(&env.host, &store.bundles[2], Options::default()).unwrap();
        assert_eq!(env.everything(), store.rules[2]);
        assert!(deploy::drift(&env.host).unwrap().is_clean());
        assert!(env.host.exists("/etc/tidegate/closed"));
    });
}
