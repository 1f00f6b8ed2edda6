//! Every kind of drift is found, told once, and repaired.

use tidegate::artifact::Bundle;
use tidegate::compile::compile;
use tidegate::deploy::report::DriftKind;
use tidegate::deploy::{self, Options, store};
use tidegate::host::{Host, Variant};
use tidegate::netfilter::{Family, Table};

use crate::support::bundle::Sample;
use crate::support::env::{Env, on, on_both};
use crate::support::files::Files;

fn kinds(env: &Env) -> Vec<DriftKind> {
    let report = deploy::drift(&env.host).unwrap();
    report.drifts.iter().map(|drift| drift.kind).collect()
}

/// Puts a bundle in force, damages the machine, and wants exactly `expected`, then a repair.
fn drifts(damage: impl Fn(&Env) + Sync, expected: &[DriftKind]) {
    on_both(|env| {
        deploy::apply(&env.host, &Sample::shop().bundle(), Options::default()).unwrap();
        assert_eq!(kinds(env), []);
        damage(env);
        assert_eq!(kinds(env), expected);
        let (before, after) = deploy::repair(&env.host).unwrap();
        assert_eq!(before.drifts.len(), expected.len());
        assert!(after.is_clean(), "{}", after.text());
    });
}

#[test]
fn a_rule_that_is_gone_is_told_in_the_policys_words() {
    on_both(|env| {
        deploy::apply(&env.host, &Sample::shop().bundle(), Options::default()).unwrap();
        env.iptables(Family::V4, "-t mangle -D TIDE-shop-in 1");
        let text = deploy::drift(&env.host).unwrap().text();
        let first = text.lines().next().unwrap();
        assert_eq!(
            first,
            "shop.tide:23: rule gone: office may reach db : 5432/tcp"
        );
        assert!(text.contains("IPv4 mangle TIDE-shop-in, rule 1"), "{text}");
        assert!(
            text.contains("- -s 203.0.113.0/24 -d 172.18.0.20/32"),
            "{text}"
        );
    });
}

#[test]
fn rules_gone_added_changed_and_reordered() {
    let mangle = |line: &'static str| {
        move |env: &Env| env.load(Family::V6, &format!("*mangle\n{line}\nCOMMIT\n"))
    };
    drifts(mangle("-D TIDE-shop-in 2"), &[DriftKind::RuleGone]);
    drifts(
        mangle("-I TIDE-shop-in 2 -i lo -j ACCEPT"),
        &[DriftKind::RuleAdded],
    );
    drifts(
        mangle("-R TIDE-shop-in 3 -j ACCEPT"),
        &[DriftKind::RuleChanged],
    );
    drifts(
        mangle("-D TIDE-shop-in -j DROP\n-I TIDE-shop-in 1 -j DROP"),
        &[DriftKind::RulesReordered],
    );
}

#[test]
fn chains_gone_and_chains_of_nobody() {
    let gone = |env: &Env| {
        let lines = "-D FORWARD -j TIDE-GATE\n-F TIDE-GATE\n-X TIDE-GATE";
        env.load(Family::V4, &format!("*mangle\n{lines}\nCOMMIT\n"));
    };
    drifts(gone, &[DriftKind::ChainMissing, DriftKind::HookMissing]);
    let stranger = |env: &Env| env.iptables(Family::V4, "-t raw -N TIDE-WHAT");
    drifts(stranger, &[DriftKind::ChainStranger]);
}

#[test]
fn hooks_gone_doubled_moved_and_strange() {
    let filter = |line: &'static str| {
        move |env: &Env| env.load(Family::V4, &format!("*filter\n{line}\nCOMMIT\n"))
    };
    drifts(filter("-D INPUT -j TIDE-INPUT"), &[DriftKind::HookMissing]);
    drifts(filter("-A INPUT -j TIDE-INPUT"), &[DriftKind::HookDoubled]);
    drifts(
        filter("-I INPUT 1 -i eth9 -j ACCEPT"),
        &[DriftKind::HookMisplaced],
    );
    drifts(
        filter("-A DOCKER-USER -i eth9 -j DROP"),
        &[DriftKind::HookMisplaced],
    );
    drifts(
        filter("-I DOCKER-USER 1 -j RETURN"),
        &[DriftKind::HookMisplaced],
    );
    drifts(
        filter("-A OUTPUT -o lo -j TIDE-INPUT"),
        &[DriftKind::HookStranger],
    );
}

#[test]
fn docker_user_gone_or_not_reached() {
    let filter = |lines: &'static str| {
        move |env: &Env| env.load(Family::V4, &format!("*filter\n{lines}\nCOMMIT\n"))
    };
    drifts(
        filter("-D FORWARD -j DOCKER-USER"),
        &[DriftKind::DockerUserUnreached],
    );
    drifts(
        filter("-D FORWARD -j DOCKER-USER\n-F DOCKER-USER\n-X DOCKER-USER"),
        &[DriftKind::HookMissing, DriftKind::DockerUserMissing],
    );
}

#[test]
fn policy_setting_and_files() {
    drifts(
        |env| env.load(Family::V4, "*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"),
        &[DriftKind::ForwardPolicy],
    );
    drifts(
        |env| {
            env.host
                .set_sysctl("net/ipv4/conf/all/forwarding", "0")
                .unwrap();
        },
        &[DriftKind::SysctlDiffers],
    );
    drifts(
        |env| {
            env.host
                .write(store::SYSCTL_D, "kernel.panic = 0\n")
                .unwrap();
        },
        &[DriftKind::FileChanged],
    );
    drifts(
        |env| env.host.remove(store::SYSCTL_D).unwrap(),
        &[DriftKind::FileMissing],
    );
    drifts(
        |env| {
            env.host
                .write(store::MODULES_LOAD, "br_netfilter\n")
                .unwrap();
        },
        &[DriftKind::FileStranger],
    );
}

#[test]
fn a_damaged_bundle_is_told_and_not_applied() {
    on_both(|env| {
        let bundle = Sample::shop().bundle();
        deploy::apply(&env.host, &bundle, Options::default()).unwrap();
        let path = format!("{}/rules.v4", store::CURRENT);
        env.host.write(&path, "*filter\nCOMMIT\n").unwrap();
        assert_eq!(kinds(env), [DriftKind::BundleDamaged]);
        let before = env.everything();
        deploy::repair(&env.host).unwrap_err();
        assert_eq!(env.everything(), before);
        // The bundle itself, applied again, is kept again.
        assert!(
            deploy::apply(&env.host, &bundle, Options::default())
                .unwrap()
                .changed
        );
        assert_eq!(kinds(env), []);
    });
}

/// A bundle whose grants are accepted in FORWARD, as for engines before 17.06.
fn for_an_early_engine() -> Bundle {
    let policy = "host { engine docker 1.12 }\n\
        network shop {\n bridge br-shop\n subnet 172.18.0.0/16\n}\n\
        container db on shop at 172.18.0.20 { expose 5432/tcp }\n\
        trust office { 203.0.113.0/24 }\nallow office -> db : 22/tcp\n";
    compile(&Files::one(policy), "policy.tide")
        .bundle()
        .unwrap()
}

/// Docker before 17.06 puts the jump to its isolation and the rules of each new network on top of
/// FORWARD, so that ours sinks.
#[test]
fn a_hook_that_sinks_under_an_early_engine_is_found_and_put_back() {
    on_both(|env| {
        deploy::apply(&env.host, &for_an_early_engine(), Options::default()).unwrap();
        let rules = env.rules(Family::V4);
        assert!(
            !rules.iter().any(|rule| rule.contains("DOCKER-USER")),
            "{rules:?}"
        );
        env.load(
            Family::V4,
            "*filter\n:DOCKER-ISOLATION - [0:0]\n-I FORWARD -i br-new -j ACCEPT\n\
             -I FORWARD -j DOCKER-ISOLATION\nCOMMIT\n",
        );
        assert_eq!(kinds(env), [DriftKind::HookMisplaced]);
        deploy::repair(&env.host).unwrap();
        let forward = env.chain(Family::V4, Table::Filter, "FORWARD");
        assert_eq!(forward.first().map(String::as_str), Some("-j TIDE-PASS"));
        assert_eq!(forward.len(), 3, "{forward:?}");
        assert_eq!(kinds(env), []);
    });
}

#[test]
fn a_later_file_that_undoes_a_setting_is_told_and_a_masked_one_is_not() {
    on(Variant::Nft, |env| {
        deploy::apply(&env.host, &Sample::shop().bundle(), Options::default()).unwrap();
        let notes = || deploy::drift(&env.host).unwrap().notes;
        let undone = |note: &String| note.contains("sysctl.d") || note.contains("sysctl.conf");
        let put = |path: &str| env.host.write(path, "net.ipv4.ip_forward = 0\n").unwrap();
        put("/etc/sysctl.d/10-early.conf");
        put("/usr/lib/sysctl.d/99-late.conf");
        env.host.write("/etc/sysctl.d/99-late.conf", "").unwrap();
        assert!(!notes().iter().any(undone), "{:?}", notes());
        env.host
            .link("/etc/sysctl.d/98-masked.conf", "/dev/null")
            .unwrap();
        put("/usr/lib/sysctl.d/98-masked.conf");
        assert!(!notes().iter().any(undone), "{:?}", notes());
        put("/etc/sysctl.d/99-zz.conf");
        let told = notes();
        assert!(
            told.iter().any(|note| note
                .contains("/etc/sysctl.d/99-zz.conf:1 sets net.ipv4.conf.all.forwarding = 0")),
            "{told:?}"
        );
    });
}
