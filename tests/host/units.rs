//! The unit files, as systemd reads them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use crate::support::bundle::{Sample, write};

/// The units, and one that a policy's name makes of the template.
const UNITS: [&str; 6] = [
    "tidegate-closed.service",
    "tidegate-guard.service",
    "tidegate.service",
    "tidegate-watch@shop.service",
    "tidegate-drift.service",
    "tidegate-drift.timer",
];

/// Others that write rules. One that is there has to fit in as well.
const OTHERS: [(&str, &str); 7] = [
    (
        "docker",
        "After=network-online.target docker.socket firewalld.service",
    ),
    (
        "firewalld",
        "Before=network-pre.target\nWants=network-pre.target",
    ),
    (
        "ip6tables",
        "Before=network-pre.target\nWants=network-pre.target",
    ),
    (
        "iptables",
        "Before=network-pre.target\nWants=network-pre.target",
    ),
    ("netfilter-persistent", EARLY),
    ("nftables", EARLY),
    ("ufw", EARLY),
];

/// As Debian's nftables.service has it.
const EARLY: &str = "DefaultDependencies=no\nBefore=network-pre.target\nWants=network-pre.target\n\
                     After=local-fs.target\nConflicts=shutdown.target\nBefore=shutdown.target";

/// Returns whether systemd-analyze(1) is there with the option `--root`, which came with 250.
fn is_skipped() -> bool {
    let version = Command::new("systemd-analyze").arg("--version").output();
    let text = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    let number = text.split_whitespace().nth(1).unwrap_or("0");
    let number: u32 = number.parse().unwrap_or(0);
    if number < 250 || !tidegate::host::is_root() {
        // Not a macro: the test runner would keep it back.
        let why = "skipped: it needs root, and systemd-analyze of systemd 250 or newer";
        writeln!(io::stderr(), "{why}").ok();
        return true;
    }
    false
}

/// Installs tidegate into a folder that has systemd's own units.
fn install(root: &Path, options: &[&str]) {
    let bundle = root.join("bundle");
    write(&Sample::shop().bundle(), &bundle);
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .arg("install")
        .arg(&bundle)
        .args(options)
        .arg("--root")
        .arg(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn copy_units(root: &Path) {
    let to = root.join("usr/lib/systemd");
    fs::create_dir_all(&to).unwrap();
    let copied = Command::new("cp")
        .args(["-r", "/usr/lib/systemd/system"])
        .arg(&to)
        .status();
    assert!(copied.unwrap().success());
    // systemd asks whether it could be run.
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy("/bin/true", root.join("bin/sh")).unwrap();
}

fn add_others(root: &Path) {
    let program =
        "[Service]\nType=oneshot\nExecStart=/usr/sbin/tidegate\nExecReload=/usr/sbin/tidegate";
    for (name, order) in OTHERS {
        let text = format!("[Unit]\n{order}\n{program}\n[Install]\nWantedBy=multi-user.target\n");
        let units = root.join("etc/systemd/system");
        let unit = format!("{name}.service");
        fs::write(units.join(&unit), text).unwrap();
        for wanting in ["multi-user.target", "sysinit.target"] {
            let wants = units.join(format!("{wanting}.wants"));
            fs::create_dir_all(&wants).unwrap();
            let early = order == EARLY;
            if early == (wanting == "sysinit.target") {
                std::os::unix::fs::symlink(format!("../{unit}"), wants.join(&unit)).unwrap();
            }
        }
    }
}

/// Returns what systemd complains about.
fn complaints(root: &Path) -> String {
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--root"])
        .arg(root)
        .args(UNITS)
        .arg("multi-user.target")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let ours = |line: &&str| line.contains("tidegate") || line.contains("cycle");
    let ours: Vec<&str> = text.lines().filter(ours).collect();
    ours.join("\n")
}

#[test]
fn systemd_has_nothing_to_say_about_the_units() {
    if is_skipped() {
        return;
    }
    for options in [&[][..], &["--report-only"]] {
        let root = tempfile::tempdir().unwrap();
        copy_units(root.path());
        install(root.path(), options);
        assert_eq!(complaints(root.path()), "", "alone");
        add_others(root.path());
        assert_eq!(
            complaints(root.path()),
            "",
            "beside others that write rules"
        );
    }
}

#[test]
fn a_cycle_and_a_misspelling_are_told() {
    if is_skipped() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    copy_units(root.path());
    install(root.path(), &[]);
    let drop_in = root
        .path()
        .join("etc/systemd/system/tidegate-guard.service.d");
    fs::create_dir_all(&drop_in).unwrap();
    let text = "[Unit]\nAfter=multi-user.target\n[Service]\nUMusk=0077\n";
    fs::write(drop_in.join("wrong.conf"), text).unwrap();
    let said = complaints(root.path());
    assert!(said.contains("UMusk"), "{said}");
    assert!(said.contains("cycle"), "{said}");
}

#[test]
fn every_unit_is_in_a_sandbox() {
    if is_skipped() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    install(root.path(), &["--report-only"]);
    // What has to work where nothing else does has none.
    let [_, units @ ..] = UNITS;
    for unit in units.iter().filter(|unit| unit.ends_with(".service")) {
        let output = Command::new("systemd-analyze")
            // Tenths: at most 2.0 of 10.
            .args([
                "security",
                "--offline=true",
                "--no-pager",
                "--threshold=20",
                "--root",
            ])
            .arg(root.path())
            .arg(unit)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{unit}:\n{text}");
        assert!(text.contains("Overall exposure level"), "{unit}:\n{text}");
    }
}

#[test]
fn the_timer_only_reports_where_that_was_asked_for() {
    if is_skipped() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let drop_in = root
        .path()
        .join("etc/systemd/system/tidegate-drift.service.d");
    install(root.path(), &["--report-only"]);
    let text = fs::read_to_string(drop_in.join("report-only.conf")).unwrap();
    assert!(
        text.ends_with("ExecStart=\nExecStart=/usr/sbin/tidegate drift\n"),
        "{text}"
    );
    install(root.path(), &[]);
    assert!(!drop_in.exists());
}
