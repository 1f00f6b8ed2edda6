//! Routes to other hosts: set, watched, put back and removed.

use tidegate::compile::compile;
use tidegate::deploy::report::DriftKind;
use tidegate::deploy::{self, Options};
use tidegate::diag::code;

use crate::support::env::{Env, on_both};
use crate::support::files::Files;

fn kinds(env: &Env) -> Vec<DriftKind> {
    let report = deploy::drift(&env.host).unwrap();
    report.drifts.iter().map(|drift| drift.kind).collect()
}

const ROUTED: &str = "host alpha {\n uplink eth0\n route 10.9.0.0/16 via 192.0.2.9 dev eth0\n}\n\
    network shop on alpha {\n bridge br-shop\n subnet 172.18.0.0/16\n}\n";

/// Brings up an uplink.
fn uplink() {
    Env::ip("link add eth0 type bridge");
    Env::ip("addr add 192.0.2.1/24 dev eth0");
    Env::ip("link set eth0 up");
}

#[test]
fn routes_are_set_missed_repaired_and_removed() {
    on_both(|env| {
        uplink();
        let route = || Env::ip("route show 10.9.0.0/16");
        let bundle = compile(&Files::one(ROUTED), "policy.tide")
            .bundle()
            .unwrap();
        let outcome = deploy::apply(&env.host, &bundle, Options::default()).unwrap();
        assert!(outcome.changed);
        assert_eq!(
            route().trim(),
            "10.9.0.0/16 via 192.0.2.9 dev eth0 proto static"
        );
        assert_eq!(kinds(env), []);
        Env::ip("route replace 10.9.0.0/16 via 192.0.2.7");
        assert_eq!(kinds(env), [DriftKind::RouteMissing]);
        deploy::repair(&env.host).unwrap();
        assert_eq!(kinds(env), []);
        let unrouted = ROUTED.replace("\n route 10.9.0.0/16 via 192.0.2.9 dev eth0", "");
        let bundle = compile(&Files::one(&unrouted), "policy.tide")
            .bundle()
            .unwrap();
        deploy::apply(&env.host, &bundle, Options::default()).unwrap();
        assert_eq!(route(), "");
        let bundle = compile(&Files::one(ROUTED), "policy.tide")
            .bundle()
            .unwrap();
        deploy::apply(&env.host, &bundle, Options::default()).unwrap();
        deploy::uninstall(&env.host).unwrap();
        assert_eq!(route(), "");
    });
}

#[test]
fn a_route_that_is_refused_leaves_everything_as_it_was() {
    on_both(|env| {
        uplink();
        let odd = ROUTED.replace("192.0.2.9", "203.0.113.9");
        let bundle = compile(&Files::one(&odd), "policy.tide").bundle().unwrap();
        let error = deploy::apply(&env.host, &bundle, Options::default()).unwrap_err();
        assert_eq!(error.problem().code(), code::ROUTE_REFUSED);
        assert!(error.to_string().contains("policy.tide:3"), "{error}");
        assert!(!env.has_rules_of_ours());
        // While a machine starts, its interfaces may not be up yet.
        let outcome = deploy::apply(
            &env.host,
            &bundle,
            Options {
                boot: true,
                ..Options::default()
            },
        )
        .unwrap();
        assert!(
            outcome
                .notes
                .iter()
                .any(|note| note.contains("10.9.0.0/16"))
        );
        assert!(env.has_rules_of_ours());
    });
}
