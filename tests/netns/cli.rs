//! The commands themselves: what they print and their exit status.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output};

use tidegate::deploy::store;
use tidegate::host::{Host, Variant};
use tidegate::netfilter::Family;

use crate::support::bundle::{Sample, write};
use crate::support::env::{Env, on};

fn tidegate(env: &Env, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .args(["--iptables", env.variant_name(), "--root"])
        .arg(env.root.path())
        .current_dir(env.root.path())
        .output()
        .unwrap()
}

fn ends(output: &Output, code: i32) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn with_bundle(test: impl Fn(&Env) + Sync) {
    on(Variant::Nft, |env| {
        write(&Sample::shop().bundle(), &env.root.path().join("bundle"));
        test(env);
    });
}

#[test]
fn apply_and_drift_say_what_stands() {
    with_bundle(|env| {
        let text = ends(&tidegate(env, &["apply", "bundle"]), 0);
        assert!(text.ends_with(": in force\n"), "{text}");
        let text = ends(&tidegate(env, &["apply", "bundle"]), 0);
        assert!(text.ends_with(": already in force\n"), "{text}");
        ends(&tidegate(env, &["drift"]), 0);
        env.iptables(Family::V4, "-t mangle -F TIDE-GATE");
        let text = ends(&tidegate(env, &["drift", "--format", "json"]), 1);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["drifts"][0]["kind"], "rule-gone");
        let text = ends(&tidegate(env, &["drift", "--repair"]), 0);
        assert!(text.contains("after repair:"), "{text}");
    });
}

#[test]
fn install_makes_a_machine_that_boots_with_the_rules() {
    with_bundle(|env| {
        ends(&tidegate(env, &["install", "bundle"]), 0);
        assert_eq!(env.rules(Family::V4), [""; 0]);
        let wants = "/etc/systemd/system/docker.service.wants/tidegate-guard.service";
        for path in ["/usr/sbin/tidegate", wants, store::SYSCTL_D, store::CURRENT] {
            assert!(env.host.exists(path), "{path}");
        }
        let target = env
            .root
            .path()
            .join(wants.trim_start_matches('/'))
            .read_link()
            .unwrap();
        assert_eq!(
            target.to_str(),
            Some("/etc/systemd/system/tidegate-guard.service")
        );
        ends(&tidegate(env, &["apply", "--boot"]), 0);
        ends(&tidegate(env, &["drift"]), 0);
        ends(&tidegate(env, &["uninstall"]), 0);
        assert!(!env.has_rules_of_ours());
        assert!(!env.host.exists("/usr/sbin/tidegate"));
        let text = ends(&tidegate(env, &["apply", "--boot"]), 3);
        assert!(text.contains("T0507"), "{text}");
    });
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn units_are_what_systemd_wants() {
    with_bundle(|env| {
        ends(&tidegate(env, &["install", "bundle"]), 0);
        let names = [
            "tidegate-guard.service",
            "tidegate.service",
            "tidegate-drift.timer",
            "tidegate-watch@shop.service",
        ];
        let verify = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(format!("--root={}", env.root.path().display()))
            .args(names)
            .output();
        let Ok(output) = verify else {
            eprintln!("skipped: systemd-analyze is not installed");
            return;
        };
        assert_eq!(ends(&output, 0), "");
    });
}

#[test]
fn what_others_may_write_is_refused() {
    with_bundle(|env| {
        let path = env.root.path().join("bundle/rules.v4");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        let text = ends(&tidegate(env, &["apply", "bundle"]), 3);
        assert!(
            text.contains("may be written by others than root"),
            "{text}"
        );
        std::fs::rename(&path, env.root.path().join("rules")).unwrap();
        symlink("../rules", &path).unwrap();
        let text = ends(&tidegate(env, &["apply", "bundle"]), 3);
        assert!(text.contains("is a symbolic link"), "{text}");
        assert!(!env.has_rules_of_ours());
    });
}

#[test]
fn wrong_use_is_told_apart() {
    with_bundle(|env| {
        ends(&tidegate(env, &["apply"]), 2);
        ends(&tidegate(env, &["apply", "nowhere"]), 2);
        ends(&tidegate(env, &["apply", "bundle", "--boot"]), 2);
        ends(&tidegate(env, &["drift"]), 3);
    });
}

/// A kernel that was booted with `ipv6.disable=1` has neither of its folders; here they are hidden
/// in a mount namespace. The IPv6 tables are there nevertheless, so the tool must leave them alone.
const WITHOUT_IPV6: &str = "mkdir hidden
    for net in ipv4 bridge; do mkdir hidden/$net; mount --bind /proc/sys/net/$net hidden/$net; done
    mount -t tmpfs none /proc/sys/net
    for net in ipv4 bridge; do mkdir /proc/sys/net/$net; mount --bind hidden/$net /proc/sys/net/$net; done
    exec \"$@\"";

#[test]
fn a_kernel_without_ipv6_is_left_without_ipv6_rules() {
    with_bundle(|env| {
        let run = |verb: &[&str]| {
            Command::new("unshare")
                .args(["--mount", "sh", "-euc", WITHOUT_IPV6, "sh"])
                .arg(env!("CARGO_BIN_EXE_tidegate"))
                .args(verb)
                .args(["--iptables", env.variant_name(), "--root"])
                .arg(env.root.path())
                .current_dir(env.root.path())
                .output()
                .unwrap()
        };
        let text = ends(&run(&["apply", "bundle"]), 0);
        assert!(text.contains("this kernel has no IPv6"), "{text}");
        std::fs::remove_dir_all(env.root.path().join("hidden")).unwrap();
        let text = ends(&run(&["drift"]), 0);
        assert!(text.contains("no drift"), "{text}");
        assert_ne!(env.rules(Family::V4), Vec::<String>::new());
        assert_eq!(env.rules(Family::V6), Vec::<String>::new());
    });
}
