//! Rules without an engine's: put in force, watched, changed for others and taken away.

use tidegate::artifact::Bundle;
use tidegate::compile::compile;
use tidegate::deploy::report::DriftKind;
use tidegate::deploy::{self, Options};
use tidegate::netfilter::{Family, Table};

use crate::support::bundle::Sample;
use crate::support::env::{Env, on_both};
use crate::support::files::{Folder, repository};

fn bundle() -> Bundle {
    let folder = Folder(repository().join("tests/cases/08-no-engine-icc"));
    compile(&folder, "policy.tide")
        .bundle()
        .expect("it compiles")
}

fn put_in_force(env: &Env, bundle: &Bundle) {
    deploy::apply(&env.host, bundle, Options::default()).unwrap();
}

fn kinds(env: &Env) -> Vec<DriftKind> {
    let report = deploy::drift(&env.host).unwrap();
    report.drifts.iter().map(|drift| drift.kind).collect()
}

#[test]
fn translation_that_is_gone_or_preceded_is_drift() {
    let damages = [
        (Table::Nat, "-D OUTPUT -j TIDE-DNAT", DriftKind::HookMissing),
        (
            Table::Nat,
            "-I PREROUTING -p tcp -j REDIRECT",
            DriftKind::HookMisplaced,
        ),
        (
            Table::Nat,
            "-I POSTROUTING -j MASQUERADE",
            DriftKind::HookMisplaced,
        ),
        (Table::Nat, "-D TIDE-DNAT 1", DriftKind::RuleGone),
        (
            Table::Filter,
            "-I FORWARD -j ACCEPT",
            DriftKind::HookMisplaced,
        ),
    ];
    on_both(|env| {
        put_in_force(env, &bundle());
        assert_eq!(kinds(env), []);
        for family in Family::BOTH {
            for (table, line, kind) in damages {
                env.load(family, &format!("*{table}\n{line}\nCOMMIT\n"));
                assert_eq!(kinds(env), [kind], "{line}");
                let (_, after) = deploy::repair(&env.host).unwrap();
                assert!(after.is_clean(), "{}", after.text());
            }
        }
    });
}

#[test]
fn a_masquerade_of_other_networks_is_none_of_ours() {
    on_both(|env| {
        put_in_force(env, &bundle());
        let line = "-I POSTROUTING -s 10.9.0.0/24 -j MASQUERADE";
        env.load(Family::V4, &format!("*nat\n{line}\nCOMMIT\n"));
        assert_eq!(kinds(env), []);
    });
}

/// The hook in the engine's chain and the one in FORWARD take each other's place.
#[test]
fn a_host_changes_to_an_engine_and_back() {
    on_both(|env| {
        put_in_force(env, &bundle());
        let alone = env.rules(Family::V4);
        put_in_force(env, &Sample::shop().bundle());
        assert_eq!(kinds(env), []);
        let beside = env.rules(Family::V4);
        assert!(beside.iter().any(|rule| rule.contains("-j TIDE-PASS")));
        assert!(!beside.iter().any(|rule| rule.contains("TIDE-DNAT")));
        put_in_force(env, &bundle());
        assert_eq!(kinds(env), []);
        let hook = |rule: &&String| rule.ends_with("-j TIDE-PASS");
        assert_eq!(
            env.rules(Family::V4)
                .iter()
                .filter(hook)
                .collect::<Vec<_>>(),
            alone.iter().filter(hook).collect::<Vec<_>>()
        );
        deploy::uninstall(&env.host).unwrap();
        for family in Family::BOTH {
            assert_eq!(env.rules(family), Vec::<String>::new());
        }
    });
}
