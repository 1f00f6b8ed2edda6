//! A machine with an old policy in force and a new one to come, and how to tell which one stands.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tidegate::artifact::Bundle;
use tidegate::compile::compile;
use tidegate::deploy::{self, Options};

use crate::support::bundle::write;
use crate::support::env::Env;
use crate::support::files::Files;

/// Two policies that differ in one port; [`super::wire`] asks for what both say the same about.
const POLICY: &str = "host {
  uplink     eth0
  forwarding on
  forward    drop
}

trust office { 203.0.113.0/24, 2001:db8:10::/48 }

network shop {
  bridge br-shop
  subnet 172.18.0.0/24, fd00:18::/64
}

container db on shop at 172.18.0.20, fd00:18::20 {
  expose 80/tcp   from office
  expose PORT/tcp from office
}
";

/// Returns the policy's bundle with one of its ports.
pub(super) fn bundle_of(port: &str) -> Bundle {
    // Its lines have other numbers, so that the files below /etc differ, too.
    let lines = if port == "9187" {
        "# A port for metrics.\n"
    } else {
        ""
    };
    let policy = Files::one(&format!("{lines}{}", POLICY.replace("PORT", port)));
    compile(&policy, "policy.tide")
        .bundle()
        .expect("it compiles")
}

/// Where tidegate keeps what counts; below it, `previous` and the lock do not.
const KEPT: [&str; 4] = [
    "var/lib/tidegate",
    "etc/sysctl.d",
    "etc/modules-load.d",
    "run/tidegate",
];

/// Rules by family and table.
type Rules = BTreeMap<String, Vec<String>>;
/// Texts by path.
type Texts = BTreeMap<PathBuf, String>;

pub(super) struct Place<'e> {
    pub(super) env: &'e Env,
    pub(super) bundles: [Bundle; 2],
    rules: [Rules; 2],
    texts: [Texts; 2],
    empty: Rules,
}

impl<'e> Place<'e> {
    /// Writes the bundles to the folders `0` and `1`, looks at both in force, and leaves the first so.
    #[track_caller]
    pub(super) fn new(env: &'e Env) -> Self {
        let bundles = ["5432", "9187"].map(bundle_of);
        let mut place = Place {
            env,
            bundles,
            rules: [Rules::new(), Rules::new()],
            texts: [Texts::new(), Texts::new()],
            empty: Rules::new(),
        };
        for (number, bundle) in place.bundles.iter().enumerate() {
            write(bundle, &env.root.path().join(number.to_string()));
        }
        place.settle(1);
        for number in [0, 1, 0] {
            place.settle(number);
            place.rules[number] = place.rules_now();
            place.texts[number] = place.texts_now();
        }
        let all = place.rules[0].keys().map(|key| (key.clone(), Vec::new()));
        place.empty = all.collect();
        place
    }

    /// Puts a bundle in force without any fault.
    #[track_caller]
    pub(super) fn settle(&self, number: usize) {
        deploy::apply(&self.env.host, &self.bundles[number], Options::default()).unwrap();
    }

    /// Makes the bundle the installed one, and leaves the rules as they are.
    #[track_caller]
    pub(super) fn install(&self, number: usize) {
        let bundle = &self.bundles[number];
        deploy::store::stage(&self.env.host, bundle).unwrap();
        deploy::store::publish(&self.env.host).unwrap();
        for fragment in deploy::store::Fragment::of_bundle(bundle) {
            fragment.put(&self.env.host).unwrap();
        }
    }

    /// Returns the program with the words of a command; `@` stands for a bundle's folder.
    pub(super) fn command(&self, words: &[&str], number: usize) -> Command {
        self.below(&[], words, number)
    }

    /// Like [`Place::command`], started by another program.
    pub(super) fn below(&self, outer: &[&str], words: &[&str], number: usize) -> Command {
        let root = self.env.root.path();
        let bundle = root.join(number.to_string());
        let line = outer.iter().copied();
        let line = line.chain([env!("CARGO_BIN_EXE_tidegate")]);
        let mut line = line.chain(words.iter().map(|word| match *word {
            "@" => bundle.to_str().unwrap(),
            other => other,
        }));
        let mut command = Command::new(line.next().unwrap());
        command.args(line).arg("--root").arg(root);
        command.args(["--iptables", self.env.variant_name()]);
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(super) fn run(&self, words: &[&str], number: usize) -> Output {
        self.command(words, number).output().unwrap()
    }

    /// Runs a command that must fail as said, and returns its message.
    #[track_caller]
    pub(super) fn fails(&self, words: &[&str], number: usize, code: i32) -> String {
        let output = self.run(words, number);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        text
    }

    /// Panics unless all that counts is one bundle's.
    #[track_caller]
    pub(super) fn stands(&self, number: usize) {
        assert_eq!(self.rules_now(), self.rules[number]);
        assert_eq!(self.texts_now(), self.texts[number]);
    }

    /// The same, where a file of the test's own takes up space.
    #[track_caller]
    pub(super) fn stands_beside(&self, number: usize, file: &str) {
        self.rules_stand(number);
        let mut texts = self.texts_now();
        texts.retain(|path, _| !path.ends_with(file));
        assert_eq!(texts, self.texts[number]);
    }

    /// The same of the rules alone.
    #[track_caller]
    pub(super) fn rules_stand(&self, number: usize) {
        assert_eq!(self.rules_now(), self.rules[number]);
    }

    /// Panics unless each table is one bundle's, and so is the folder that boot loads.
    #[track_caller]
    pub(super) fn is_whole(&self) {
        self.tables_are_among(&[&self.rules[0], &self.rules[1]]);
        let current = |texts: &Texts| {
            let files = texts.iter();
            let files = files.filter(|(path, _)| path.starts_with("var/lib/tidegate/current"));
            let files: BTreeMap<_, _> = files.map(|(p, t)| (p.clone(), t.clone())).collect();
            files
        };
        let now = current(&self.texts_now());
        // Between the renames there is none, and the next run ends that.
        let whole = now.is_empty() || self.texts.iter().any(|texts| current(texts) == now);
        assert!(whole, "{:?}", now.keys());
    }

    /// Panics unless each table is one bundle's or has nothing of ours.
    #[track_caller]
    pub(super) fn is_whole_or_nothing(&self) {
        self.tables_are_among(&[&self.rules[0], &self.rules[1], &self.empty]);
    }

    #[track_caller]
    fn tables_are_among(&self, states: &[&Rules]) {
        for (table, now) in self.rules_now() {
            let whole = states.iter().any(|state| state.get(&table) == Some(&now));
            // Without ours, chains and policies of others may stay.
            let bare = states.len() == 3 && now.iter().all(|line| !line.contains("TIDE-"));
            assert!(whole || bare, "{table}: {now:#?}");
        }
    }

    fn rules_now(&self) -> Rules {
        let mut rules = Rules::new();
        for line in self.env.everything() {
            let mut words = line.splitn(3, ' ');
            let table = [words.next().unwrap(), words.next().unwrap()].join(" ");
            rules
                .entry(table)
                .or_default()
                .push(words.next().unwrap().to_owned());
        }
        rules
    }

    fn texts_now(&self) -> Texts {
        let root = self.env.root.path();
        let mut texts = Texts::new();
        for folder in KEPT {
            collect(root, &root.join(folder), &mut texts);
        }
        texts
    }
}

fn collect(root: &Path, folder: &Path, texts: &mut Texts) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_owned();
        // Bundles that were in force or rehearsed before have no say in what is now.
        let is_past = ["previous", "history", "rehearsed"]
            .iter()
            .any(|it| name.ends_with(it));
        if is_past || name.ends_with("lock") {
            continue;
        }
        if path.is_dir() {
            texts.insert(name, String::new());
            collect(root, &path, texts);
        } else {
            texts.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}
