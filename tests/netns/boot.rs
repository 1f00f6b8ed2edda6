//! What is told of a boot whose rules did not load, and what `install` lets come to that.

use tidegate::deploy::{self, ApplyError, Options, Problem};
use tidegate::doctor::{Facts, examine};
use tidegate::host::Host;
use tidegate::netfilter::Family;

use crate::support::bundle::Sample;
use crate::support::env::{Env, on, on_both};
use crate::support::faulty::{Call, Faulty};

const FIRST: &str = "error[T0525]: this boot did not load the policy in whole\n";

fn boot() -> Options {
    Options {
        boot: true,
        ..Options::default()
    }
}

/// Boots a machine on which no IPv6 rules load.
fn fails(env: &Env) {
    if env.has_rules_of_ours() {
        env.iptables(Family::V6, "-t mangle -F TIDE-GATE");
    }
    let fault = |call: &Call<'_>| matches!(call, Call::Restore(Family::V6, _));
    let host = Faulty::new(env.host.clone(), fault);
    deploy::apply_installed(&host, boot()).unwrap_err();
}

/// Returns what each command says, and whether all is well.
fn said(host: &dyn Host) -> [(String, bool); 3] {
    let status = deploy::status(host).unwrap();
    let drift = deploy::drift(host).unwrap();
    let doctor = examine(&Facts::of(host));
    [
        (status.text(), status.is_fine()),
        (drift.text(), drift.is_clean()),
        (doctor.text(), doctor.is_fine()),
    ]
}

fn is_told(env: &Env) -> bool {
    let said = said(&env.host);
    let told = said.each_ref().map(|(text, _)| text.starts_with(FIRST));
    for (text, fine) in &said {
        assert!(!fine || !told[0], "{text}");
        assert!(told[0] || !text.contains("T0525"), "{text}");
        let long = text.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None);
    }
    assert_eq!(told, [told[0]; 3], "{said:?}");
    told[0]
}

#[test]
fn a_boot_that_failed_is_told_first() {
    on_both(|env| {
        deploy::install(&env.host, &Sample::shop().bundle(), None).unwrap();
        fails(env);
        assert!(is_told(env));
        let [(status, _), ..] = said(&env.host);
        assert!(!status.contains(": in force"), "{status}");
        // Nothing but a whole load ends it.
        assert!(is_told(env));
        let (before, after) = deploy::repair(&env.host).unwrap();
        assert!(!before.is_clean() && after.is_clean(), "{}", after.text());
        assert!(!is_told(env));
        let [(status, fine), ..] = said(&env.host);
        assert!(fine && status.contains(": in force"), "{status}");
    });
}

#[test]
fn every_way_to_put_a_bundle_in_force_ends_a_failed_boot() {
    let bundle = || Sample::shop().bundle();
    on_both(|env| {
        deploy::install(&env.host, &bundle(), None).unwrap();
        let heals: [&dyn Fn(); 3] = [
            &|| drop(deploy::apply(&env.host, &bundle(), Options::default()).unwrap()),
            &|| drop(deploy::apply_installed(&env.host, boot()).unwrap()),
            &|| drop(deploy::uninstall(&env.host).unwrap()),
        ];
        for heal in heals {
            fails(env);
            assert!(deploy::boot_failure(&env.host).unwrap().is_some());
            heal();
            assert_eq!(deploy::boot_failure(&env.host).unwrap(), None);
        }
    });
}

#[test]
fn a_boot_that_was_killed_has_failed() {
    on_both(|env| {
        deploy::install(&env.host, &Sample::shop().bundle(), None).unwrap();
        let kill = |call: &Call<'_>| match call {
            Call::Restore(..) => panic!("killed"),
            _ => false,
        };
        let host = Faulty::new(env.host.clone(), kill);
        let killed = std::panic::AssertUnwindSafe(|| deploy::apply_installed(&host, boot()));
        std::panic::catch_unwind(killed).unwrap_err();
        assert!(is_told(env));
    });
}

#[test]
fn status_looks_at_the_rules() {
    on_both(|env| {
        deploy::apply(&env.host, &Sample::shop().bundle(), Options::default()).unwrap();
        assert!(deploy::status(&env.host).unwrap().is_fine());
        env.iptables(Family::V6, "-t mangle -F TIDE-GATE");
        let status = deploy::status(&env.host).unwrap();
        let text = status.text();
        assert!(!status.is_fine() && status.in_force.is_none(), "{text}");
        assert!(text.contains("the machine differs in 2 things\n"), "{text}");
        // What cannot be read is not known.
        let fault = |call: &Call<'_>| matches!(call, Call::Save(Family::V4));
        let host = Faulty::new(env.host.clone(), fault);
        let status = deploy::status(&host).unwrap();
        let text = status.text();
        assert!(!status.is_fine() && status.in_force.is_none(), "{text}");
        assert!(
            text.contains("not known whether it is in force\n"),
            "{text}"
        );
    });
}

/// Returns a bundle whose chains lie deeper than nftables follows.
fn deep() -> tidegate::artifact::Bundle {
    let declared = (0..20).map(|at| format!(":TIDE-D{at} - [0:0]\n"));
    let declared = declared.collect::<Vec<_>>().concat();
    let leads = (0..19).map(|at| format!("-A TIDE-D{at} -g TIDE-D{}\n", at + 1));
    let leads = leads.collect::<Vec<_>>().concat();
    let gate = format!("{leads}-A TIDE-GATE -o br-deep -g TIDE-D0\n-A TIDE-GATE -o br-shop");
    Sample::shop()
        .with(Family::V6, ":TIDE-GATE", &format!("{declared}:TIDE-GATE"))
        .with(Family::V6, "-A TIDE-GATE -o br-shop", &gate)
        .bundle()
}

#[test]
fn what_would_not_load_is_not_installed() {
    on(tidegate::host::Variant::Nft, |env| {
        let rejected = |problem: &Problem| matches!(problem, Problem::Rejected { family, .. } if *family == Family::V6);
        let problem = deploy::install(&env.host, &deep(), None).unwrap_err();
        assert!(rejected(&problem), "{problem}");
        for path in ["/usr", "/etc", "/var/lib/tidegate/current"] {
            assert!(!env.host.exists(path), "{path} was written");
        }
        // As apply says.
        let error = deploy::apply(&env.host, &deep(), Options::default()).unwrap_err();
        assert!(
            matches!(&error, ApplyError::Refused(problem) if rejected(problem)),
            "{error}"
        );
    });
}
