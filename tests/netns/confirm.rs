//! Bundles on trial: confirmed, not confirmed, killed, started again; and the way back.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tidegate::artifact::Bundle;
use tidegate::deploy::{self, Options, store};
use tidegate::host::Host;
use tidegate::netfilter::Family;

use crate::support::bundle::{Sample, write};
use crate::support::env::{Env, on_both};
use crate::support::faulty::{Call, Faulty};

/// Long enough that no test ends it.
const LONG: Duration = Duration::from_secs(600);

fn command(env: &Env, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command
        .args(arguments)
        .args(["--iptables", env.variant_name(), "--root"])
        .arg(env.root.path())
        .current_dir(env.root.path());
    command
}

#[track_caller]
fn ends(output: &Output, code: i32) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[track_caller]
fn run(env: &Env, arguments: &[&str], code: i32) -> String {
    ends(&command(env, arguments).output().unwrap(), code)
}

fn first() -> Bundle {
    Sample::shop().bundle()
}

fn second() -> Bundle {
    Sample::shop()
        .with_both("shop-in", "store-in")
        .with_both("5432", "9187")
        .bundle()
}

/// Writes both bundles for the program.
fn bundles(env: &Env) {
    write(&first(), &env.root.path().join("0"));
    write(&second(), &env.root.path().join("1"));
}

/// Waits until the machine holds what it held before.
#[track_caller]
fn comes_back(env: &Env, before: &[String]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while env.everything() != before || env.host.exists("/run/tidegate/trial.json") {
        assert!(Instant::now() < deadline, "{:#?}", env.everything());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn installed(env: &Env) -> Option<String> {
    let bundle = store::installed(&env.host).unwrap()?;
    Some(bundle.version().to_owned())
}

#[test]
fn what_nobody_confirms_goes_back_by_itself() {
    on_both(|env| {
        bundles(env);
        let nothing = env.everything();
        let text = run(env, &["apply", "--confirm", "1s", "0"], 0);
        assert!(
            text.contains("else no rules of tidegate comes back"),
            "{text}"
        );
        assert!(env.has_rules_of_ours());
        assert_eq!(installed(env), None);
        comes_back(env, &nothing);
        let text = run(env, &["confirm"], 1);
        assert!(text.contains("T0518"), "{text}");

        run(env, &["apply", "0"], 0);
        let old = env.everything();
        run(env, &["apply", "--confirm", "1s", "1"], 0);
        assert_ne!(env.everything(), old);
        comes_back(env, &old);
        assert!(deploy::drift(&env.host).unwrap().is_clean());
        assert_eq!(installed(env).as_deref(), Some(first().version()));
    });
}

#[test]
fn a_confirmation_keeps_it() {
    on_both(|env| {
        bundles(env);
        run(env, &["apply", "0"], 0);
        run(env, &["apply", "--confirm", "60", "1"], 0);
        let new = env.everything();
        assert_eq!(installed(env).as_deref(), Some(first().version()));
        let text = run(env, &["confirm"], 0);
        assert!(text.contains("confirmed"), "{text}");
        assert_eq!(installed(env).as_deref(), Some(second().version()));
        assert_eq!(env.everything(), new);
        assert!(deploy::drift(&env.host).unwrap().is_clean());
        let text = run(env, &["confirm"], 1);
        assert!(text.contains("T0517"), "{text}");
        // Whoever was called for the deadline finds nothing to do.
        deploy::return_in_time(&env.host).unwrap();
        assert_eq!(env.everything(), new);
    });
}

#[test]
fn whoever_comes_in_between_leaves_it_on_trial() {
    on_both(|env| {
        bundles(env);
        run(env, &["apply", "0"], 0);
        let old = env.everything();
        run(env, &["apply", "--confirm", "2m", "1"], 0);
        let new = env.everything();
        for verb in [&["apply", "0"][..], &["apply", "1"], &["install", "0"]] {
            let text = run(env, verb, 1);
            assert!(text.contains("T0516") && text.contains(" s left"), "{text}");
            assert!(text.contains("tidegate confirm"), "{text}");
        }
        let text = run(env, &["drift"], 0);
        assert!(text.contains("waits for a confirmation"), "{text}");
        // Docker was restarted, and tidegate.service with it.
        env.iptables(Family::V4, "-t mangle -F TIDE-GATE");
        let text = run(env, &["apply", "--boot"], 0);
        assert!(text.contains("waits for a confirmation"), "{text}");
        assert_eq!(env.everything(), new);
        env.iptables(Family::V6, "-t mangle -F TIDE-GATE");
        run(env, &["drift"], 1);
        run(env, &["drift", "--repair"], 0);
        assert_eq!(env.everything(), new);
        assert_eq!(installed(env).as_deref(), Some(first().version()));
        let text = run(env, &["status"], 0);
        assert!(text.contains("confirmation: "), "{text}");
        run(env, &["rollback"], 0);
        assert_eq!(env.everything(), old);
        run(env, &["confirm"], 1);
    });
}

#[test]
fn uninstalling_ends_a_trial() {
    on_both(|env| {
        bundles(env);
        run(env, &["apply", "--confirm", "60s", "0"], 0);
        run(env, &["uninstall"], 0);
        assert!(!env.has_rules_of_ours());
        assert!(!env.host.exists("/run/tidegate/trial"));
        run(env, &["confirm"], 1);
    });
}

#[test]
fn killed_at_any_moment_it_still_goes_back() {
    on_both(|env| {
        bundles(env);
        run(env, &["apply", "0"], 0);
        let old = env.everything();
        let begin = Instant::now();
        run(env, &["apply", "--confirm", "1s", "1"], 0);
        let whole = begin.elapsed();
        comes_back(env, &old);
        for moment in 0..8 {
            let mut child = command(env, &["apply", "--confirm", "1s", "1"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // The moment is what is tested: there is nothing to wait for.
            std::thread::sleep(whole * (moment * 37 % 101) / 100);
            child.kill().unwrap();
            child.wait().unwrap();
            drop(env.host.lock().unwrap());
            comes_back(env, &old);
            assert!(deploy::drift(&env.host).unwrap().is_clean());
        }
    });
}

#[test]
fn a_boot_within_the_window_brings_the_old_bundle() {
    on_both(|env| {
        let mut host = Faulty::new(env.host.clone(), |_| false);
        deploy::apply(&host, &first(), Options::default()).unwrap();
        let old = env.everything();
        deploy::try_out(&host, &second(), Options::default(), LONG).unwrap();
        assert_ne!(env.everything(), old);
        // The next boot, as far as files tell: no rules yet, and another name.
        host.boot = Some("another".to_owned());
        let boot = Options {
            boot: true,
            ..Options::default()
        };
        let (bundle, _) = deploy::apply_installed(&host, boot).unwrap();
        assert_eq!(bundle.version(), first().version());
        assert_eq!(env.everything(), old);
        assert!(deploy::on_trial(&host).unwrap().is_none());
        assert!(deploy::confirm(&host).is_err());
    });
}

#[test]
fn without_anybody_to_go_back_nothing_changes() {
    on_both(|env| {
        let host = Faulty::new(env.host.clone(), |call| matches!(call, Call::Arm));
        deploy::apply(&host, &first(), Options::default()).unwrap();
        let old = env.everything();
        let error = deploy::try_out(&host, &second(), Options::default(), LONG).unwrap_err();
        assert!(error.old_state_stands());
        assert_eq!(env.everything(), old);
        assert!(!env.host.exists("/run/tidegate/trial.json"));
        deploy::apply(&host, &second(), Options::default()).unwrap();
    });
}

#[test]
fn a_setting_of_the_trial_goes_back_too() {
    on_both(|env| {
        let key = "net/ipv4/conf/default/rp_filter";
        env.host.set_sysctl(key, "0").unwrap();
        let bundle = Sample::shop()
            .sysctl("net.ipv4.conf.default.rp_filter", "1")
            .bundle();
        let host = Faulty::new(env.host.clone(), |_| false);
        deploy::try_out(&host, &bundle, Options::default(), LONG).unwrap();
        assert_eq!(host.sysctl(key).unwrap().unwrap().trim(), "1");
        assert!(!env.host.exists(store::SYSCTL_D));
        deploy::rollback(&host, None, Options::default()).unwrap();
        assert_eq!(host.sysctl(key).unwrap().unwrap().trim(), "0");
        assert_eq!(env.everything(), [""; 0]);
    });
}

/// Returns a host that changes so many files and is killed then, as far as files can tell.
fn dies_after(env: &Env, changes: usize) -> Faulty {
    let mut count = 0;
    Faulty::new(env.host.clone(), move |call| {
        count += usize::from(matches!(call, Call::Rename(_) | Call::Write));
        count > changes
    })
}

#[test]
fn killed_between_any_two_changes_a_confirmation_is_whole_or_none() {
    on_both(|env| {
        let healthy = Faulty::new(env.host.clone(), |_| false);
        let mut decided = 0;
        for changes in 0.. {
            deploy::apply(&healthy, &first(), Options::default()).unwrap();
            deploy::try_out(&healthy, &second(), Options::default(), LONG).unwrap();
            let new = env.everything();
            let ended = deploy::confirm(&dies_after(env, changes));
            if ended.is_ok() {
                assert!(changes > 5, "only {changes} changes");
                break;
            }
            // Whoever comes next ends what was decided, and nothing else.
            let next = deploy::confirm(&healthy);
            decided += usize::from(next.is_err());
            assert_eq!(env.everything(), new, "{changes}: {ended:?}");
            assert_eq!(
                installed(env).as_deref(),
                Some(second().version()),
                "{changes}"
            );
            assert!(deploy::on_trial(&healthy).unwrap().is_none(), "{changes}");
            assert!(deploy::drift(&healthy).unwrap().is_clean(), "{changes}");
        }
        assert!(decided > 2, "{decided}");
    });
}

#[test]
fn killed_between_any_two_changes_a_trial_ends_with_the_old_bundle() {
    on_both(|env| {
        let healthy = Faulty::new(env.host.clone(), |_| false);
        deploy::apply(&healthy, &first(), Options::default()).unwrap();
        let old = env.everything();
        for changes in 0.. {
            let tried = deploy::try_out(
                &dies_after(env, changes),
                &second(),
                Options::default(),
                LONG,
            );
            let done = tried.is_ok();
            // Killed on the way back, too, wherever; then somebody comes who is not.
            for on_the_way in 0..8 {
                let _ = deploy::rollback(&dies_after(env, on_the_way), None, Options::default());
                if deploy::on_trial(&healthy).unwrap().is_none() {
                    break;
                }
            }
            if deploy::on_trial(&healthy).unwrap().is_some() {
                deploy::rollback(&healthy, None, Options::default()).unwrap();
            }
            assert_eq!(env.everything(), old, "{changes}");
            assert_eq!(
                installed(env).as_deref(),
                Some(first().version()),
                "{changes}"
            );
            assert!(deploy::drift(&healthy).unwrap().is_clean(), "{changes}");
            if done {
                break;
            }
        }
    });
}

#[test]
fn rolling_back_twice_returns() {
    on_both(|env| {
        bundles(env);
        let text = run(env, &["rollback"], 1);
        assert!(text.contains("T0520"), "{text}");
        run(env, &["apply", "0"], 0);
        let text = run(env, &["apply", "1"], 0);
        assert!(
            text.contains("`tidegate rollback` goes back to it"),
            "{text}"
        );
        let new = env.everything();
        run(env, &["rollback"], 0);
        assert_eq!(installed(env).as_deref(), Some(first().version()));
        assert_ne!(env.everything(), new);
        run(env, &["rollback"], 0);
        assert_eq!(env.everything(), new);
        run(env, &["rollback", &first().version()[..8]], 0);
        assert_eq!(installed(env).as_deref(), Some(first().version()));
        let text = run(env, &["rollback", "zz"], 1);
        assert!(text.contains("T0520"), "{text}");
    });
}

#[test]
fn ten_bundles_are_kept() {
    on_both(|env| {
        let bundle = |port: u32| Sample::shop().with_both("5432", &port.to_string()).bundle();
        let options = Options {
            at_once: true,
            ..Options::default()
        };
        for port in 6000..6012 {
            deploy::apply(&env.host, &bundle(port), options).unwrap();
        }
        let history = deploy::status(&env.host).unwrap().history;
        let versions: Vec<&str> = history.iter().map(|past| past.version.as_str()).collect();
        let wanted: Vec<Bundle> = (6002..6012).rev().map(bundle).collect();
        let wanted: Vec<&str> = wanted.iter().map(Bundle::version).collect();
        assert_eq!(versions, wanted);
        let kept = env.host.names("/var/lib/tidegate/history").unwrap();
        assert_eq!(kept.len(), deploy::KEPT + 1, "{kept:?}");
        let json = run(env, &["status", "--format", "json"], 0);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["in_force"]["version"], wanted[0]);
        assert!(json["in_force"]["since"].is_u64());
        assert_eq!(json["waits"], serde_json::Value::Null);
    });
}
