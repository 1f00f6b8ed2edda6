//! `tidegate doctor` on machines made so: real rules in a namespace, real files in a folder.

use std::process::Command;

use tidegate::deploy::{self, Options};
use tidegate::doctor::{Facts, Weight, examine};
use tidegate::host::{Host, Variant};
use tidegate::netfilter::Family;

use crate::support::bundle::Sample;
use crate::support::env::{Env, on, on_both};

/// Puts a bundle in force and installs it, as on a machine that is well kept.
fn well_kept(env: &Env) {
    let bundle = Sample::shop().bundle();
    deploy::install(&env.host, &bundle, None).unwrap();
    deploy::apply(&env.host, &bundle, Options::default()).unwrap();
}

fn codes(env: &Env) -> Vec<&'static str> {
    let report = examine(&Facts::of(&env.host));
    let findings = report.findings.iter();
    findings
        .filter(|it| it.weight < Weight::Note)
        .map(|it| it.code.0)
        .collect()
}

/// Damages a well-kept machine, and wants exactly these findings.
fn finds(damage: impl Fn(&Env) + Sync, expected: &[&str]) {
    on_both(|env| {
        well_kept(env);
        damage(env);
        let text = examine(&Facts::of(&env.host)).text();
        assert_eq!(codes(env), expected, "{text}");
    });
}

#[test]
fn nothing_is_found_on_a_machine_that_is_well_kept() {
    on_both(|env| {
        well_kept(env);
        let text = examine(&Facts::of(&env.host)).text();
        assert!(
            text.starts_with("nothing found; looked at: 33 checks, "),
            "{text}"
        );
    });
}

#[test]
fn nothing_installed_is_an_error() {
    on(Variant::Nft, |env| assert_eq!(codes(env), ["T0721"]));
}

#[test]
fn rules_of_the_other_variant() {
    finds(
        |env| {
            let other = match env.variant {
                Variant::Legacy => "iptables-nft",
                _ => "iptables-legacy",
            };
            let arguments = ["-A", "INPUT", "-s", "203.0.113.9", "-j", "DROP"];
            assert!(
                Command::new(other)
                    .args(arguments)
                    .status()
                    .unwrap()
                    .success()
            );
        },
        // Which one is the usual is asked of `iptables` itself, so each way round is found.
        &["T0701"],
    );
}

#[test]
fn rules_in_front_untracked_and_marked() {
    let mangle = |rule: &'static str| {
        move |env: &Env| env.load(Family::V4, &format!("*mangle\n{rule}\nCOMMIT\n"))
    };
    finds(mangle("-I FORWARD 1 -i wg0 -j ACCEPT"), &["T0707", "T0722"]);
    finds(
        mangle("-A FORWARD -i wg0 -j MARK --set-mark 0x5"),
        &["T0726"],
    );
    finds(
        mangle("-A FORWARD -i wg0 -j NFQUEUE --queue-num 0 --queue-bypass"),
        &["T0710"],
    );
    finds(
        |env| {
            env.load(
                Family::V6,
                "*raw\n-A PREROUTING -i wg0 -j CT --notrack\nCOMMIT\n",
            );
        },
        &["T0708"],
    );
}

#[test]
fn tables_of_nftables() {
    finds(
        |_| {
            let table = "table inet t { chain c { type filter hook prerouting priority -300; udp dport 53 notrack; }; }";
            assert!(Command::new("nft").arg(table).status().unwrap().success());
        },
        &["T0708", "T0730"],
    );
}

#[test]
fn files_and_units() {
    let file = |path: &'static str, text: &'static str| {
        move |env: &Env| env.host.write(path, text).unwrap()
    };
    finds(
        file("/etc/rc.local", "#!/bin/sh\niptables -F\n"),
        &["T0706"],
    );
    finds(
        file("/etc/sysctl.d/99-z.conf", "net.ipv4.ip_forward = 0\n"),
        &["T0717"],
    );
    finds(
        file(
            "/etc/iptables/rules.v6",
            "*filter\n:TIDE-PASS - [0:0]\nCOMMIT\n",
        ),
        &["T0702"],
    );
    let unit = "/etc/systemd/system/tidegate-guard.service";
    finds(file(unit, "[Unit]\n"), &["T0720"]);
    finds(|env| env.host.remove(unit).unwrap(), &["T0720"]);
    finds(|env| env.host.link(unit, "/dev/null").unwrap(), &["T0720"]);
    let wants = "/etc/systemd/system/timers.target.wants/tidegate-drift.timer";
    finds(|env| env.host.remove(wants).unwrap(), &["T0720"]);
    let ufw = "/etc/ufw/sysctl.conf";
    finds(
        |env| {
            env.host
                .write("/etc/ufw/ufw.conf", "ENABLED=yes\n")
                .unwrap();
            env.host.write(ufw, "net/ipv4/ip_forward=0\n").unwrap();
        },
        &["T0717"],
    );
}

/// Each engine's drop-in, and the script that they run.
#[test]
fn what_closes_at_boot_is_whole() {
    on(Variant::Nft, |env| {
        well_kept(env);
        for path in [
            "/usr/lib/tidegate/closed",
            "/etc/systemd/system/docker.service.d/50-tidegate.conf",
            "/etc/systemd/system/podman.service.d/50-tidegate.conf",
            "/etc/systemd/system/podman-restart.service.d/50-tidegate.conf",
        ] {
            let text = env.host.read_linked(path).unwrap().unwrap();
            env.host.remove(path).unwrap();
            assert_eq!(codes(env), ["T0731"], "{path}");
            env.host.write(path, &format!("{text}\n")).unwrap();
            let report = examine(&Facts::of(&env.host)).text();
            let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
            let said = format!("warning[T0731]: {path} is not that of this release");
            assert!(report.contains(&said), "{report}");
            env.host.write(path, &text).unwrap();
        }
        assert_eq!(codes(env), [""; 0]);
    });
}

#[test]
fn what_cannot_be_read_is_told() {
    on(Variant::Nft, |env| {
        well_kept(env);
        std::fs::create_dir_all(env.root.path().join("etc/ufw")).unwrap();
        std::fs::write(env.root.path().join("etc/ufw/ufw.conf"), b"\xff\xfe").unwrap();
        let report = examine(&Facts::of(&env.host));
        assert!(!report.is_fine());
        let text = report.text();
        assert!(text.contains("warning[T0724]: not looked at: "), "{text}");
        assert!(text.contains("ufw.conf is not UTF-8 text"), "{text}");
    });
}

#[test]
fn the_command_says_it_and_has_an_exit_status() {
    on(Variant::Nft, |env| {
        let run = |format: &str| {
            Command::new(env!("CARGO_BIN_EXE_tidegate"))
                .args(["doctor", "--format", format, "--iptables", "nft", "--root"])
                .arg(env.root.path())
                .output()
                .unwrap()
        };
        let output = run("json");
        assert_eq!(output.status.code(), Some(1));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["findings"][0]["code"], "T0721");
        assert_eq!(json["looked_at"]["checks"].as_array().unwrap().len(), 33);
        well_kept(env);
        let output = run("text");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
    });
}
