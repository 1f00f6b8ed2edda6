//! Bundles that are half written, or were edited by hand: refused, the file named, and the old one
//! stays in force.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tidegate::artifact::{Bundle, FORMAT, sha256};
use tidegate::host::Variant;

use super::place::Place;
use super::tally::Tally;
use crate::support::bundle::write;
use crate::support::env::on;

const APPLY: [&str; 2] = ["apply", "@"];

/// Returns what reading the files says, which must name `file`.
fn is_refused(bundle: &Bundle, file: &str, text: &str) {
    let mut files = bundle.files().clone();
    files.insert(file.to_owned(), text.to_owned());
    let error = Bundle::read(files).unwrap_err().to_string();
    assert!(error.contains(file), "{error}");
}

/// By each byte and each line, without the program: it is the same function that reads them.
#[test]
fn a_file_cut_anywhere_or_without_a_line_is_refused() {
    on(Variant::Nft, |env| {
        let place = Place::new(env);
        let bundle = &place.bundles[1];
        let mut tally = Tally::of("a bundle's file cut at each byte, or a line of it dropped");
        for (name, text) in bundle.files() {
            for length in 0..text.len() {
                // A manifest without its last line end says the same.
                let same = name == "manifest.json" && length + 1 == text.len();
                if text.is_char_boundary(length) && !same {
                    tally.fault(|| is_refused(bundle, name, &text[..length]));
                }
            }
            if name == "manifest.json" {
                // Where lines are dropped, what is left may be a manifest that says less: see below.
                continue;
            }
            for (number, _) in text.lines().enumerate() {
                let rest = text.split_inclusive('\n').enumerate();
                let rest = rest
                    .filter(|(line, _)| *line != number)
                    .map(|(_, line)| line);
                let rest: String = rest.collect();
                tally.fault(|| is_refused(bundle, name, &rest));
            }
        }
    });
}

/// What may become of a file in a folder.
type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 7] = [
    ("cut", |path| {
        fs::write(path, &fs::read(path).unwrap()[..10]).unwrap();
    }),
    ("empty", |path| fs::write(path, "").unwrap()),
    ("zeros", |path| {
        fs::write(path, vec![0; fs::read(path).unwrap().len()]).unwrap();
    }),
    ("no text", |path| fs::write(path, [0xff, 0xfe]).unwrap()),
    ("gone", |path| fs::remove_file(path).unwrap()),
    ("a folder", |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
    ("huge", |path| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(65 << 20).unwrap();
    }),
];

#[test]
fn a_damaged_bundle_is_refused_and_the_old_one_stays() {
    on(Variant::Nft, |env| {
        let place = Place::new(env);
        let folder = env.root.path().join("1");
        let mut tally = Tally::of("a damaged file in a bundle's folder");
        let names: Vec<String> = place.bundles[1].files().keys().cloned().collect();
        for name in &names {
            for (damage, act) in DAMAGES {
                tally.fault(|| {
                    fs::remove_dir_all(&folder).unwrap();
                    write(&place.bundles[1], &folder);
                    act(&folder.join(name));
                    let text = place.fails(&APPLY, 1, 3);
                    assert!(text.starts_with("error[T05"), "{damage}: {text}");
                    assert!(text.contains(name.as_str()), "{damage}: {text}");
                });
            }
        }
        tally.fault(|| {
            fs::remove_dir_all(&folder).unwrap();
            write(&place.bundles[1], &folder);
            fs::write(folder.join("rules.v5"), "").unwrap();
            let text = place.fails(&APPLY, 1, 3);
            assert!(
                text.contains("rules.v5 is not named in manifest.json"),
                "{text}"
            );
        });
        place.stands(0);
    });
}

/// Their hashes may fit what cannot be read: it is refused before it is put in force.
#[test]
fn words_that_cannot_be_read_are_refused_and_the_old_bundle_stays() {
    on(Variant::Nft, |env| {
        let place = Place::new(env);
        let folder = env.root.path().join("1");
        let mut tally = Tally::of("a file of words that is none, its hash mended");
        for name in ["parties.json", "source-map.json"] {
            for text in [
                "",
                "{}",
                "[0]",
                "{\"lines\": [[\"\\n\", \"\"]], \"chains\": {}}",
            ] {
                tally.fault(|| {
                    fs::remove_dir_all(&folder).unwrap();
                    write(&place.bundles[1], &folder);
                    let hashes =
                        [place.bundles[1].file(name), text].map(|it| sha256(it.as_bytes()));
                    let manifest = place.bundles[1].file("manifest.json");
                    let manifest = manifest.replace(&hashes[0], &hashes[1]);
                    fs::write(folder.join("manifest.json"), manifest).unwrap();
                    fs::write(folder.join(name), text).unwrap();
                    let told = place.fails(&APPLY, 1, 3);
                    assert!(told.starts_with("error[T0501]"), "{told}");
                    assert!(told.contains(&format!("{name} cannot be read: ")), "{told}");
                });
            }
        }
        place.stands(0);
    });
}

/// A manifest has no hash over it but its version; what it says is compared with the rules.
#[test]
fn a_manifest_edited_by_hand_cannot_open_anything() {
    on(Variant::Nft, |env| {
        let place = Place::new(env);
        let path = env.root.path().join("1/manifest.json");
        let text = fs::read_to_string(&path).unwrap();
        let mut tally = Tally::of("a line dropped from the manifest");
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        for number in 0..lines.len() {
            let rest = lines.iter().enumerate().filter(|(line, _)| *line != number);
            let rest: String = rest.map(|(_, line)| *line).collect();
            let mut files = place.bundles[1].files().clone();
            files.insert("manifest.json".to_owned(), rest.clone());
            tally.fault(|| match Bundle::read(files) {
                Err(_) => {}
                // Still a manifest: the rules are the compiled ones, byte for byte.
                Ok(bundle) => {
                    assert_eq!(
                        bundle.files()["rules.v4"],
                        place.bundles[1].files()["rules.v4"]
                    );
                }
            });
        }
        let format = |number: u64| format!("\"format\": {number}");
        let ours = format(FORMAT.into());
        for other in [u64::from(FORMAT) + 1, 99_999_999_999] {
            tally.fault(|| {
                assert!(text.contains(&ours), "{text}");
                fs::write(&path, text.replace(&ours, &format(other))).unwrap();
                fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
                let text = place.fails(&APPLY, 1, 3);
                assert!(
                    text.starts_with("error[T0501]") && text.contains("manifest.json"),
                    "{text}"
                );
            });
        }
        place.stands(0);
    });
}

/// The bundle that is installed, changed behind tidegate's back.
#[test]
fn an_installed_bundle_edited_by_hand_is_not_loaded_and_is_drift() {
    on(Variant::Nft, |env| {
        let place = Place::new(env);
        let folder = env.root.path().join("var/lib/tidegate/current");
        let names: Vec<String> = place.bundles[0].files().keys().cloned().collect();
        let mut tally = Tally::of("an installed file edited by hand");
        for name in names {
            tally.fault(|| {
                let path = folder.join(&name);
                let text = fs::read_to_string(&path).unwrap();
                fs::write(&path, text.replace("5432", "22") + "\n# by hand\n").unwrap();
                let text = place.fails(&["apply", "--boot"], 0, 3);
                assert!(
                    text.starts_with("error[T0530]") && text.contains(&name),
                    "{text}"
                );
                let output = place.run(&["drift"], 0);
                assert_eq!(output.status.code(), Some(1), "{output:?}");
                place.rules_stand(0);
                place.settle(0);
                place.stands(0);
            });
        }
    });
}
