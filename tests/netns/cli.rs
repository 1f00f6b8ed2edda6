//! The commands themselves: what they print and their exit status.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output};

use tidegate::deploy::store;
use tidegate::host::{Host, Variant};
use tidegate::netfilter::Family;

use crate::support::bundle::{Sample, write};
use crate::support::env::{Env, on};
use crate::support::files::repository;

pub(super) fn tidegate(env: &Env, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .args(["--iptables", env.variant_name(), "--root"])
        .arg(env.root.path())
        .current_dir(env.root.path())
        .output()
        .unwrap()
}

pub(super) fn ends(output: &Output, code: i32) -> String {
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
fn a_plan_tells_a_change_from_a_mistake_by_its_exit_status() {
    with_bundle(|env| {
        let before = env.everything();
        let text = ends(&tidegate(env, &["plan", "bundle"]), 2);
        assert!(text.starts_with("opens: "), "{text}");
        assert!(text.contains(", steps: "), "{text}");
        ends(&tidegate(env, &["plan", "bundle", "--format", "json"]), 2);
        assert_eq!(env.everything(), before);
        for no_answer in [
            &["plan", "missing.tide"][..],
            &["plan", "bundle", "--host", "other"],
            &["plan", "bundle", "--hots"],
            &["plan"],
        ] {
            let output = tidegate(env, no_answer);
            let status = output.status.code();
            assert!(
                [Some(1), Some(3)].contains(&status),
                "{no_answer:?}: {output:?}"
            );
        }
        ends(&tidegate(env, &["plan", "--help"]), 0);
        ends(&tidegate(env, &["apply", "bundle"]), 0);
        let text = ends(&tidegate(env, &["plan", "bundle"]), 0);
        assert!(text.contains("already in force"), "{text}");
        env.iptables(Family::V4, "-t mangle -F TIDE-GATE");
        ends(&tidegate(env, &["plan", "bundle"]), 2);
    });
}

/// Returns the value of a metric without labels, or with these.
fn value(metrics: &str, name: &str) -> Option<u64> {
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map(|value| value.parse().unwrap())
}

#[test]
fn drift_writes_metrics_also_of_a_machine_that_fails() {
    with_bundle(|env| {
        ends(&tidegate(env, &["apply", "bundle"]), 0);
        let text = ends(&tidegate(env, &["drift", "--format", "prometheus"]), 0);
        assert_eq!(value(&text, "tidegate_exit_status"), Some(0), "{text}");
        assert!(text.contains("tidegate_policy_info{policy=\"shop.tide\",version=\""));
        assert_eq!(value(&text, "tidegate_trial_remaining_seconds"), None);

        env.iptables(Family::V4, "-t mangle -F TIDE-GATE");
        let into = ["--format", "prometheus", "-o", "tidegate.prom"];
        let file = env.root.path().join("tidegate.prom");
        let metrics = || std::fs::read_to_string(&file).unwrap();
        let text = ends(&tidegate(env, &[&["drift"][..], &into].concat()), 1);
        assert!(
            text.contains("rule gone") && !text.contains("# HELP"),
            "{text}"
        );
        let gone = "tidegate_drift_findings{kind=\"rule-gone\"}";
        let found = value(&metrics(), gone).unwrap();
        assert!(found > 0);
        assert_eq!(value(&metrics(), "tidegate_exit_status"), Some(1));
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o644, "node_exporter is not root");

        ends(
            &tidegate(env, &[&["drift", "--repair"][..], &into].concat()),
            0,
        );
        assert_eq!(value(&metrics(), "tidegate_drift_repaired"), Some(found));
        assert_eq!(value(&metrics(), gone), Some(0));

        ends(&tidegate(env, &["uninstall"]), 0);
        let text = ends(&tidegate(env, &[&["drift"][..], &into].concat()), 3);
        assert!(text.contains("T0507"), "{text}");
        assert_eq!(value(&metrics(), "tidegate_exit_status"), Some(3));
        assert!(!metrics().contains("findings"));
        assert!(value(&metrics(), "tidegate_last_check_timestamp_seconds") > Some(1_700_000_000));
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

/// Puts the units where a package has them.
fn bring_units(env: &Env) {
    let folder = env.root.path().join("usr/lib/systemd/system");
    std::fs::create_dir_all(&folder).unwrap();
    for unit in std::fs::read_dir(repository().join("systemd")).unwrap() {
        let unit = unit.unwrap();
        std::fs::copy(unit.path(), folder.join(unit.file_name())).unwrap();
    }
}

#[test]
fn the_units_of_a_package_are_used_where_they_are() {
    with_bundle(|env| {
        // Installed by hand first, and packaged later.
        ends(&tidegate(env, &["install", "bundle"]), 0);
        assert!(env.host.exists("/etc/systemd/system/tidegate.service"));
        bring_units(env);
        ends(&tidegate(env, &["install", "bundle"]), 0);
        let units = "/etc/systemd/system";
        let names = [
            "docker.service.wants",
            "firewalld.service.wants",
            "ip6tables.service.wants",
            "iptables.service.wants",
            "multi-user.target.wants",
            "netfilter-persistent.service.wants",
            "nftables.service.wants",
            "timers.target.wants",
            "ufw.service.wants",
        ];
        assert_eq!(env.host.names(units).unwrap(), names);
        let link = env
            .root
            .path()
            .join("etc/systemd/system/docker.service.wants");
        assert_eq!(
            link.join("tidegate.service").read_link().unwrap().to_str(),
            Some("/usr/lib/systemd/system/tidegate.service")
        );
        let text = ends(&tidegate(env, &["uninstall"]), 0);
        assert!(text.contains("apt purge tidegate"), "{text}");
        for kept in [
            "/usr/sbin/tidegate",
            "/usr/lib/systemd/system/tidegate.service",
        ] {
            assert!(env.host.exists(kept), "{kept}");
        }
        for name in names {
            let left = env.host.names(&format!("{units}/{name}")).unwrap();
            assert_eq!(left, [""; 0], "{name}");
        }
    });
}

#[test]
fn units_of_another_version_are_not_taken_for_ours() {
    with_bundle(|env| {
        bring_units(env);
        let unit = "/usr/lib/systemd/system/tidegate.service";
        env.host.write(unit, "[Service]\n").unwrap();
        ends(&tidegate(env, &["install", "bundle"]), 0);
        assert!(env.host.exists("/etc/systemd/system/tidegate.service"));
    });
}

#[test]
fn a_bundle_that_is_kept_comes_back_at_the_next_boot() {
    with_bundle(|env| {
        ends(&tidegate(env, &["install", "bundle"]), 0);
        ends(&tidegate(env, &["apply", "--boot"]), 0);
        let text = ends(&tidegate(env, &["uninstall", "--keep-bundle"]), 0);
        assert!(text.contains("its bundle stays"), "{text}");
        assert!(!env.has_rules_of_ours());
        assert!(!env.host.exists(store::SYSCTL_D));
        assert!(env.host.exists("/usr/sbin/tidegate"));
        ends(&tidegate(env, &["apply", "--boot"]), 0);
        ends(&tidegate(env, &["drift"]), 0);
    });
}

/// The machine has to come up closed, and people have to know that it is not as it should be.
#[test]
fn a_boot_loads_the_rules_of_a_bundle_of_another_version() {
    with_bundle(|env| {
        ends(&tidegate(env, &["install", "bundle"]), 0);
        ends(&tidegate(env, &["apply", "--boot"]), 0);
        let whole = env.everything();
        ends(&tidegate(env, &["uninstall", "--keep-bundle"]), 0);
        let manifest = format!("{}/manifest.json", store::CURRENT);
        let text = env.host.read(&manifest).unwrap().unwrap();
        let newer = text.replacen("\"format\": ", "\"format\": 9", 1);
        env.host.write(&manifest, &newer).unwrap();
        // The first finds no rules; the second leaves those that are there.
        for (status, stands) in [(4, "what was loaded stays"), (3, "nothing was changed")] {
            let text = ends(&tidegate(env, &["apply", "--boot"]), status);
            assert!(text.contains("T0501") && text.contains(stands), "{text}");
            assert_eq!(env.everything(), whole);
        }
        let text = ends(&tidegate(env, &["drift"]), 1);
        assert!(text.contains("has format 9"), "{text}");
    });
}

/// Rules that would do more than those of any bundle are none of ours.
#[test]
fn a_boot_loads_nothing_that_is_not_ours() {
    with_bundle(|env| {
        ends(&tidegate(env, &["install", "bundle"]), 0);
        env.host
            .write(&format!("{}/manifest.json", store::CURRENT), "")
            .unwrap();
        for name in ["rules.v4", "rules.v6"] {
            let path = format!("{}/{name}", store::CURRENT);
            let text = env.host.read(&path).unwrap().unwrap();
            env.host
                .write(
                    &path,
                    &text.replacen(
                        "-I FORWARD -j TIDE-",
                        "-I FORWARD -j ACCEPT\n-I FORWARD -j TIDE-",
                        1,
                    ),
                )
                .unwrap();
        }
        let text = ends(&tidegate(env, &["apply", "--boot"]), 3);
        assert!(text.contains("nothing was changed"), "{text}");
        assert!(!env.has_rules_of_ours());
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

/// The variant that `iptables` is now may not be the one by which a policy was applied.
#[test]
fn an_uninstall_leaves_no_rules_in_the_other_variant() {
    for (words, says) in [
        (&["uninstall", "--keep-bundle"][..], "are out of force"),
        (&["uninstall"], "are gone"),
    ] {
        on(Variant::Legacy, |env| {
            write(&Sample::shop().bundle(), &env.root.path().join("bundle"));
            ends(&tidegate(env, &["apply", "bundle"]), 0);
            let held = || Family::BOTH.map(|it| env.host.save(it).unwrap().contains("TIDE-"));
            assert_eq!(held(), [true, true]);
            let uninstall = Command::new(env!("CARGO_BIN_EXE_tidegate"))
                .args(words)
                .args(["--iptables", "nft", "--root"])
                .arg(env.root.path())
                .output()
                .unwrap();
            let text = ends(&uninstall, 0);
            assert!(text.contains(says), "{text}");
            assert_eq!(held(), [false, false], "{text}");
        });
    }
}
