//! What is left when loading fails half way.

use tidegate::deploy::{self, ApplyError, Options, store};
use tidegate::host::{Host, Variant};
use tidegate::netfilter::{Family, Table};

use crate::support::bundle::Sample;
use crate::support::env::{Env, on, on_both};
use crate::support::faulty::{Call, Faulty};

fn in_force(env: &Env) -> Vec<String> {
    deploy::apply(&env.host, &Sample::shop().bundle(), Options::default()).unwrap();
    env.everything()
}

fn next() -> tidegate::artifact::Bundle {
    Sample::shop().with_both("5432", "9187").bundle()
}

#[test]
fn rules_of_ipv4_go_back_when_those_of_ipv6_fail() {
    on_both(|env| {
        let before = in_force(env);
        let v6 = |call: &Call<'_>| matches!(call, Call::Restore(Family::V6, _));
        let host = Faulty::new(env.host.clone(), v6);
        let error = deploy::apply(&host, &next(), Options::default()).unwrap_err();
        assert!(matches!(error, ApplyError::WentBack(_)), "{error}");
        assert_eq!(env.everything(), before);
        assert!(deploy::drift(&env.host).unwrap().is_clean());
    });
}

#[test]
fn a_first_apply_that_fails_leaves_an_untouched_machine() {
    on_both(|env| {
        let before = env.everything();
        let v6 = |call: &Call<'_>| matches!(call, Call::Restore(Family::V6, _));
        let host = Faulty::new(env.host.clone(), v6);
        deploy::apply(&host, &next(), Options::default()).unwrap_err();
        assert_eq!(env.everything(), before);
    });
}

#[test]
fn going_back_that_fails_too_is_told() {
    on_both(|env| {
        in_force(env);
        let mut first = true;
        let host = Faulty::new(env.host.clone(), move |call| match call {
            Call::Restore(..) => !std::mem::take(&mut first),
            _ => false,
        });
        let error = deploy::apply(&host, &next(), Options::default()).unwrap_err();
        assert!(matches!(error, ApplyError::Stuck { .. }), "{error}");
        assert!(!error.old_state_stands());
        // The machine heals with the next apply.
        deploy::apply(&env.host, &next(), Options::default()).unwrap();
        assert!(deploy::drift(&env.host).unwrap().is_clean());
    });
}

#[test]
fn files_that_cannot_be_written_bring_the_rules_back() {
    on_both(|env| {
        let before = in_force(env);
        let faults: [fn(&Call<'_>) -> bool; 2] = [
            |call| matches!(call, Call::Rename(store::CURRENT)),
            |call| matches!(call, Call::Rename(from) if from.ends_with("/staged")),
        ];
        for fault in faults {
            let host = Faulty::new(env.host.clone(), fault);
            let error = deploy::apply(&host, &next(), Options::default()).unwrap_err();
            assert!(matches!(error, ApplyError::WentBack(_)), "{error}");
            assert_eq!(env.everything(), before);
            assert!(deploy::drift(&env.host).unwrap().is_clean());
        }
    });
}

#[test]
fn at_boot_what_can_be_loaded_stays() {
    on_both(|env| {
        deploy::install(&env.host, &Sample::shop().bundle(), None).unwrap();
        let fault = |call: &Call<'_>| match call {
            Call::Restore(Family::V4, text) => text.contains("*filter"),
            _ => false,
        };
        let host = Faulty::new(env.host.clone(), fault);
        let error = deploy::apply_installed(
            &host,
            Options {
                boot: true,
                ..Options::default()
            },
        )
        .unwrap_err();
        assert!(matches!(error, ApplyError::Partial(_)), "{error}");
        assert_eq!(
            env.chain(Family::V4, Table::Mangle, "FORWARD"),
            ["-j TIDE-GATE"]
        );
        assert_eq!(
            env.chain(Family::V6, Table::Filter, "DOCKER-USER"),
            ["-j TIDE-PASS"]
        );
        deploy::apply_installed(
            &env.host,
            Options {
                boot: true,
                ..Options::default()
            },
        )
        .unwrap();
        assert!(deploy::drift(&env.host).unwrap().is_clean());
    });
}

#[test]
fn a_kernel_without_ipv6_is_given_ipv4_alone() {
    on(Variant::Nft, |env| {
        let mut host = Faulty::new(env.host.clone(), |_| false);
        host.ipv6 = false;
        let bundle = Sample::shop()
            .sysctl("net.ipv6.conf.all.forwarding", "1")
            .bundle();
        let outcome = deploy::apply(&host, &bundle, Options::default()).unwrap();
        assert!(outcome.notes[0].contains("no IPv6"), "{:?}", outcome.notes);
        assert_eq!(env.rules(Family::V6), [""; 0]);
        let report = deploy::drift(&host).unwrap();
        assert!(
            report.is_clean() && report.text().contains("no IPv6"),
            "{}",
            report.text()
        );
        let forwarding = env.host.sysctl("net/ipv6/conf/all/forwarding").unwrap();
        assert_eq!(forwarding.as_deref(), Some("0\n"));
    });
}

#[test]
fn a_change_of_bundles_that_was_cut_short_is_ended() {
    on(Variant::Nft, |env| {
        in_force(env);
        deploy::apply(&env.host, &next(), Options::default()).unwrap();
        env.host
            .write_folder("/var/lib/tidegate/staged", next().files())
            .unwrap();
        env.host.remove_folder(store::CURRENT).unwrap();
        assert!(deploy::drift(&env.host).unwrap().is_clean());
        assert_eq!(store::installed(&env.host).unwrap(), Some(next()));
    });
}
