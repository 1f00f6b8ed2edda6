//! Putting bundles in force beside the rules of others.

use tidegate::deploy::{self, Options, Problem, store};
use tidegate::host::Host;
use tidegate::netfilter::{Family, Table};

use crate::support::bundle::Sample;
use crate::support::env::on_both;
use crate::support::faulty::{Call, Faulty};

const OTHERS: &str = "\
*mangle
:FORWARD ACCEPT [0:0]
-A FORWARD -i eth9 -j ACCEPT
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -o eth9 -j MASQUERADE
COMMIT
*filter
:FORWARD ACCEPT [0:0]
:DOCKER-USER - [0:0]
:f2b-sshd - [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j f2b-sshd
-A FORWARD -j DOCKER-USER
-A FORWARD -i eth9 -j ACCEPT
-A DOCKER-USER -i eth9 -m comment --comment \"two words\" -j DROP
-A DOCKER-USER -i eth8 -j DROP
-A DOCKER-USER -j RETURN
-A f2b-sshd -j RETURN
COMMIT
";

#[test]
fn a_bundle_is_put_in_force_once() {
    on_both(|env| {
        let bundle = Sample::shop().bundle();
        let apply = || deploy::apply(&env.host, &bundle, Options::default()).unwrap();
        assert!(apply().changed);
        let forward = |table| env.chain(Family::V4, table, "FORWARD");
        assert_eq!(forward(Table::Mangle), ["-j TIDE-GATE"]);
        assert_eq!(forward(Table::Filter), ["-j DOCKER-USER"]);
        let forwarding = env.host.sysctl("net/ipv4/conf/all/forwarding").unwrap();
        assert_eq!(forwarding.as_deref(), Some("1\n"));
        let before = env.everything();
        assert!(!apply().changed);
        assert_eq!(env.everything(), before);
    });
}

#[test]
fn rules_of_others_survive_in_their_order() {
    on_both(|env| {
        env.load(Family::V4, OTHERS);
        let before = env.rules(Family::V4);
        deploy::apply(&env.host, &Sample::shop().bundle(), Options::default()).unwrap();
        let user = env.chain(Family::V4, Table::Filter, "DOCKER-USER");
        let hook = user.iter().position(|rule| rule == "-j TIDE-PASS");
        assert_eq!(hook, Some(2), "{user:?}");
        let of_others = |rule: &String| !rule.contains("TIDE-") && !rule.contains("FORWARD DROP");
        let mut after = env.rules(Family::V4);
        after.retain(of_others);
        assert_eq!(after, before);
    });
}

#[test]
fn the_next_bundle_takes_the_place_of_the_one_before() {
    on_both(|env| {
        let first = Sample::shop().bundle();
        let second = Sample::shop().with_both("shop", "store").bundle();
        deploy::apply(&env.host, &first, Options::default()).unwrap();
        deploy::apply(&env.host, &second, Options::default()).unwrap();
        let text = env.everything().join("\n");
        assert!(text.contains(":TIDE-store-in"), "{text}");
        assert!(!text.contains("TIDE-shop-in"), "{text}");
        let previous = env.host.read_folder(store::PREVIOUS).unwrap();
        assert_eq!(previous.as_ref(), Some(first.files()));
    });
}

/// Docker's nftables tables accept for themselves alone: what ours had closed in FORWARD is open again,
/// what others closed stays, and is told.
#[test]
fn forward_accepts_again_where_the_engine_moves_to_nftables() {
    let moved = || {
        let open = Sample::shop().with_both(":FORWARD DROP [0:0]\n", "");
        let mut open = open.with_both("*filter\n-I DOCKER-USER -j TIDE-PASS\nCOMMIT\n", "");
        open.manifest.engine = "docker 29 nftables".to_owned();
        open.manifest.forward = None;
        open.manifest
            .hooks
            .retain(|hook| hook.chain != "DOCKER-USER");
        open.bundle()
    };
    on_both(|env| {
        let policy = |family: Family| {
            let rules = env.rules(family);
            rules.contains(&"filter :FORWARD DROP".to_owned())
        };
        deploy::apply(&env.host, &Sample::shop().bundle(), Options::default()).unwrap();
        assert!(Family::BOTH.into_iter().all(policy));
        let outcome = deploy::apply(&env.host, &moved(), Options::default()).unwrap();
        assert!(
            !Family::BOTH.into_iter().any(policy),
            "{:?}",
            env.everything()
        );
        let told = |notes: &[String], what: &str| notes.iter().any(|note| note.contains(what));
        assert!(
            told(&outcome.notes, "FORWARD becomes ACCEPT"),
            "{:?}",
            outcome.notes
        );

        env.load(Family::V4, "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n");
        let outcome = deploy::apply(&env.host, &moved(), Options::default()).unwrap();
        assert!(policy(Family::V4), "another program's policy is left alone");
        assert!(
            told(&outcome.notes, "another program"),
            "{:?}",
            outcome.notes
        );
    });
}

#[test]
fn hooks_that_were_doubled_or_moved_are_put_right() {
    on_both(|env| {
        let bundle = Sample::shop().bundle();
        deploy::apply(&env.host, &bundle, Options::default()).unwrap();
        let before = env.everything();
        env.iptables(Family::V4, "-t mangle -A FORWARD -j TIDE-GATE");
        env.iptables(Family::V6, "-t filter -A OUTPUT -j TIDE-INPUT");
        env.iptables(Family::V4, "-t filter -I INPUT 1 -i eth9 -j ACCEPT");
        assert!(
            deploy::apply(&env.host, &bundle, Options::default())
                .unwrap()
                .changed
        );
        assert_eq!(
            env.chain(Family::V4, Table::Filter, "INPUT"),
            ["-j TIDE-INPUT", "-i eth9 -j ACCEPT"]
        );
        env.iptables(Family::V4, "-t filter -D INPUT -i eth9 -j ACCEPT");
        assert_eq!(env.everything(), before);
    });
}

#[test]
fn a_rule_that_comes_back_otherwise_is_refused_before_anything_is_touched() {
    on_both(|env| {
        let odd = Sample::shop().with(Family::V6, "--dport 5432", "--dport postgresql");
        let before = env.everything();
        let error = deploy::apply(&env.host, &odd.bundle(), Options::default()).unwrap_err();
        assert!(matches!(error.problem(), Problem::Differs(_)), "{error}");
        assert!(error.old_state_stands());
        assert_eq!(env.everything(), before);
        assert!(!env.host.exists(store::CURRENT));
    });
}

#[test]
fn a_rule_that_does_not_load_is_refused_before_anything_is_touched() {
    on_both(|env| {
        let loops = Sample::shop().with(Family::V4, "-o br-shop -g TIDE-shop-in", "-j TIDE-GATE");
        let before = env.everything();
        let error = deploy::apply(&env.host, &loops.bundle(), Options::default()).unwrap_err();
        assert!(
            matches!(error.problem(), Problem::Rejected { .. }),
            "{error}"
        );
        assert_eq!(env.everything(), before);
    });
}

#[test]
fn rules_that_do_more_than_the_manifest_says_are_refused() {
    on_both(|env| {
        let before = env.everything();
        for (from, to) in [
            ("-I INPUT -j TIDE-INPUT", "-I INPUT -j ACCEPT"),
            (":TIDE-INPUT", ":INPUT ACCEPT [0:0]\n:TIDE-INPUT"),
            (":FORWARD DROP", ":FORWARD ACCEPT"),
            ("-I INPUT -j TIDE-INPUT\n", ""),
        ] {
            let bundle = Sample::shop().with(Family::V4, from, to).bundle();
            let error = deploy::apply(&env.host, &bundle, Options::default()).unwrap_err();
            assert!(
                matches!(error.problem(), Problem::State(_)),
                "{to}: {error}"
            );
        }
        assert_eq!(env.everything(), before);
    });
}

#[test]
fn a_setting_that_the_kernel_refuses_brings_everything_back() {
    on_both(|env| {
        env.load(Family::V4, OTHERS);
        let before = env.everything();
        let bundle = Sample::shop()
            .sysctl("net.ipv4.ip_default_ttl", "4711")
            .bundle();
        let error = deploy::apply(&env.host, &bundle, Options::default()).unwrap_err();
        assert!(error.to_string().contains("ip_default_ttl"), "{error}");
        assert!(error.old_state_stands(), "{error}");
        assert_eq!(env.everything(), before);
        let forwarding = env.host.sysctl("net/ipv4/conf/all/forwarding").unwrap();
        assert_eq!(forwarding.as_deref(), Some("0\n"));
        assert!(!env.host.exists(store::CURRENT));
    });
}

#[test]
fn a_setting_of_an_interface_waits_for_it() {
    on_both(|env| {
        let bundle = Sample::shop()
            .sysctl("net.ipv4.conf.br-shop.rp_filter", "2")
            .bundle();
        let outcome = deploy::apply(&env.host, &bundle, Options::default()).unwrap();
        assert!(
            outcome.notes[0].contains("br-shop appears"),
            "{:?}",
            outcome.notes
        );
        assert!(deploy::drift(&env.host).unwrap().is_clean());
        let wrong = Sample::shop()
            .sysctl("net.ipv4.conf.lo.no_such_thing", "2")
            .bundle();
        let error = deploy::apply(&env.host, &wrong, Options::default()).unwrap_err();
        assert!(
            matches!(error.problem(), Problem::NoSetting { .. }),
            "{error}"
        );
    });
}

#[test]
fn docker_user_is_made_before_docker_and_adopted_after() {
    on_both(|env| {
        let bundle = Sample::shop().bundle();
        deploy::apply(&env.host, &bundle, Options::default()).unwrap();
        // What an engine up to 28.2.1 does when it starts: adopt, jump anew, append a RETURN.
        env.load(
            Family::V4,
            "*filter\n-D FORWARD -j DOCKER-USER\n-I FORWARD -j DOCKER-USER\n\
             -A DOCKER-USER -j RETURN\n:DOCKER - [0:0]\n-A FORWARD -o docker0 -j DOCKER\nCOMMIT\n",
        );
        assert!(deploy::drift(&env.host).unwrap().is_clean());
        assert!(
            !deploy::apply(&env.host, &bundle, Options::default())
                .unwrap()
                .changed
        );
        let user = env.chain(Family::V4, Table::Filter, "DOCKER-USER");
        assert_eq!(user, ["-j TIDE-PASS", "-j RETURN"]);
    });
}

#[test]
fn uninstall_leaves_what_is_not_ours() {
    on_both(|env| {
        env.load(Family::V4, OTHERS);
        let before = env.everything();
        deploy::apply(&env.host, &Sample::shop().bundle(), Options::default()).unwrap();
        deploy::uninstall(&env.host).unwrap();
        let mut after = env.everything();
        after.retain(|line| !line.ends_with("filter :FORWARD DROP"));
        assert_eq!(after, before);
        for path in [store::STATE, store::SYSCTL_D] {
            assert!(!env.host.exists(path), "{path}");
        }
    });
}

#[test]
fn a_bundle_is_rehearsed_once_on_a_kernel_and_an_iptables() {
    on_both(|env| {
        let bundle = Sample::shop().bundle();
        // Whoever rehearses on this host is refused.
        let host = Faulty::new(env.host.clone(), |call| matches!(call, Call::Rehearse));
        let apply = |bundle| deploy::apply(&host, bundle, Options::default());
        apply(&bundle).unwrap_err();
        deploy::apply(&env.host, &bundle, Options::default()).unwrap();
        let flush = || env.load(Family::V4, "*mangle\n:TIDE-GATE - [0:0]\nCOMMIT\n");
        flush();
        assert!(apply(&bundle).unwrap().changed);
        let other = Sample::shop().with_both("5432", "9187").bundle();
        apply(&other).unwrap_err();

        let stamp = env.host.read(store::REHEARSED).unwrap().unwrap();
        for name in ["tidegate", "kernel", "iptables", "bundle"] {
            flush();
            let other = stamp.replace(&format!("{name} "), &format!("{name} 9"));
            assert_ne!(other, stamp);
            env.host.write(store::REHEARSED, &other).unwrap();
            apply(&bundle).unwrap_err();
        }
        env.host.write(store::REHEARSED, &stamp).unwrap();
        apply(&bundle).unwrap();
        assert!(deploy::drift(&env.host).unwrap().is_clean());
    });
}
