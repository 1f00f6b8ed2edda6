//! The commands that need no host: `check` and `compile`, as a user runs them.

mod diff;
mod explain;
mod fmt;
mod generated;
mod import;
mod levels;
mod matrix;
mod mistakes;
mod picture;
mod progress;
mod review;
mod sizes;
mod trace;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const POLICY: &str = "host {\n  uplink eth0\n}\ntrust office { 203.0.113.0/24 }\n\
    network shop {\n  bridge br-shop\n  subnet 172.18.0.0/24\n}\n\
    container web on shop at 172.18.0.10 {\n  expose 80/tcp as 8080 from office\n}\n";

/// A folder of a test's own, and the program run in it with an empty environment.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        Desk {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn with_policy() -> Self {
        let desk = Desk::new();
        desk.write("shop.tide", POLICY);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear();
        command
    }

    fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Returns all files of the folder, by path.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        collect(self.folder.path(), &mut all);
        all
    }
}

fn collect(folder: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, all);
        } else if path.is_file() {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_policy_becomes_a_bundle_beside_it() {
    let desk = Desk::with_policy();
    let output = desk.run(&["compile", "shop.tide", "-o", "bundle"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stderr), "");
    assert!(text(&output.stdout).starts_with("shop.tide, version "));
    let names: Vec<_> = fs::read_dir(desk.path("bundle"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 8, "{names:?}");
    // Nothing else is left in the folder.
    assert_eq!(fs::read_dir(desk.folder.path()).unwrap().count(), 2);
}

#[test]
fn the_bytes_depend_on_the_policy_alone() {
    let first = Desk::with_policy();
    first.run(&["compile", "shop.tide", "-o", "bundle"]);
    let second = Desk::new();
    second.write("some where/shop.tide", POLICY);
    let script =
        "umask 077; cd 'some where'; exec \"$0\" compile \"$PWD/shop.tide\" -o ../out/bundle";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_tidegate")])
        .current_dir(second.folder.path())
        .envs([
            ("LC_ALL", "tr_TR.UTF-8"),
            ("TZ", "Asia/Kathmandu"),
            ("HOME", "/nowhere"),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let bundle = |path: PathBuf| {
        let entries = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let file = |path: PathBuf| {
            (
                path.file_name().unwrap().to_owned(),
                fs::read(path).unwrap(),
            )
        };
        entries.map(file).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(
        bundle(first.path("bundle")),
        bundle(second.path("out/bundle"))
    );
}

#[test]
fn a_bundle_is_replaced_and_nothing_else_is() {
    let desk = Desk::with_policy();
    desk.run(&["compile", "shop.tide", "-o", "bundle"]);
    desk.write("shop.tide", POLICY.replace("8080", "8081"));
    let output = desk.run(&["compile", "shop.tide", "-o", "bundle"]);
    assert!(output.status.success(), "{output:?}");
    let rules = fs::read_to_string(desk.path("bundle/rules.v4")).unwrap();
    assert!(rules.contains("8081") && !rules.contains("8080"));

    desk.write("bundle/notes.txt", "mine");
    desk.write("file", "mine");
    for target in ["bundle", "file", "."] {
        let before = desk.files();
        let output = desk.run(&["compile", "shop.tide", "-o", target]);
        assert_eq!(output.status.code(), Some(3), "{target}: {output:?}");
        assert!(text(&output.stderr).contains("T0513"), "{output:?}");
        assert_eq!(desk.files(), before, "{target}");
    }
}

#[test]
fn mistakes_are_for_people_on_standard_error_and_for_programs_on_standard_output() {
    let desk = Desk::new();
    desk.write("bad.tide", POLICY.replace("from office", "from offices"));
    let output = desk.run(&["check", "bad.tide"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    let said = text(&output.stderr);
    assert!(
        said.contains("error[T0201]") && said.contains("bad.tide:10:"),
        "{said}"
    );
    assert!(said.ends_with("error: bad.tide has 1 mistake\n"), "{said}");
    assert!(!said.contains('\u{1b}'), "colour although nobody looks");

    let output = desk.run(&["check", "--format", "json", "bad.tide"]);
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["code"], "T0201");
    assert_eq!(json[0]["fix"]["replacement"], "office");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let desk = Desk::with_policy();
    let mut child = desk
        .command(&["check", "shop.tide"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn wrong_use_is_exit_code_2() {
    let desk = Desk::with_policy();
    for arguments in [&["compile", "shop.tide"][..], &["chekc", "shop.tide"], &[]] {
        let output = desk.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

const PAIR: &str = "host alpha { forward drop }\nhost beta { forward drop }\n\
    network shop on alpha {\n  bridge br-shop\n  subnet 172.18.0.0/24\n}\n\
    network stock on beta {\n  bridge br-stock\n  subnet 172.19.0.0/24\n}\n";

#[test]
fn a_policy_for_several_hosts_becomes_a_bundle_for_each() {
    let desk = Desk::new();
    desk.write("pair.tide", PAIR);
    let output = desk.run(&["compile", "pair.tide", "--all-hosts", "-o", "out"]);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("pair.tide for beta, version "));
    let output = desk.run(&["compile", "pair.tide", "--host", "beta", "-o", "one"]);
    assert!(output.status.success(), "{output:?}");
    let rules = |folder: &str| fs::read_to_string(desk.path(folder).join("rules.v4")).unwrap();
    assert_eq!(rules("one"), rules("out/beta"));
    assert!(rules("out/alpha").contains("-o br-shop") && !rules("out/alpha").contains("br-stock"));
}

#[test]
fn which_host_is_meant_has_to_be_said() {
    let desk = Desk::with_policy();
    desk.write("pair.tide", PAIR);
    let said = |arguments: &[&str]| {
        let output = desk.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        text(&output.stderr)
    };
    let several = said(&["compile", "pair.tide", "-o", "out"]);
    assert_eq!(
        several,
        "error: the policy has several hosts\nhelp: say which with `--host`: alpha, beta\n"
    );
    let unknown = said(&["compile", "pair.tide", "--host", "gamma", "-o", "out"]);
    assert_eq!(
        unknown,
        "error: the policy has no host `gamma`\nhelp: its hosts are alpha, beta\n"
    );
    let nameless = said(&["compile", "shop.tide", "--host", "alpha", "-o", "out"]);
    assert!(nameless.contains("its only host has no name"), "{nameless}");
    assert!(!desk.path("out").exists());
}

#[test]
fn a_check_may_look_at_this_machine_too() {
    let desk = Desk::with_policy();
    let output = desk.run(&["check", "shop.tide", "--live"]);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).starts_with("shop.tide: no mistakes"));
    let output = desk.run(&["check", "shop.tide", "--live", "--format", "json"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
