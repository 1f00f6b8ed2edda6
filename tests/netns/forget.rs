//! Policies that do not name a network any more which the one in force closes, and the first one of a machine.

use std::fs;

use tidegate::deploy::store;
use tidegate::host::{Host, Variant};
use tidegate::netfilter::Family;

use super::cli::{ends, tidegate};
use crate::support::env::{Env, on};

/// Two projects, each by itself and both in one policy.
fn policies(env: &Env) {
    let host = "host { uplink eth0 }\n";
    let network = |name: &str, subnet: &str| {
        format!("network {name} {{\n  bridge br-{name}\n  subnet {subnet}\n}}\n")
    };
    let (shop, blog) = (
        network("shop", "172.28.0.0/16"),
        network("blog", "172.29.0.0/16"),
    );
    for (file, text) in [
        ("shop.tide", format!("{host}{shop}")),
        ("blog.tide", format!("{host}{blog}")),
        ("both.tide", format!("{host}{shop}{blog}")),
        (
            "other.tide",
            format!("{host}{}", network("other", "172.27.0.0/16")),
        ),
    ] {
        fs::write(env.root.path().join(file), text).unwrap();
    }
}

fn on_a_machine(test: impl Fn(&Env) + Sync) {
    on(Variant::Nft, |env| {
        policies(env);
        test(env);
    });
}

fn run(env: &Env, line: &str, status: i32) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    ends(&tidegate(env, &words), status)
}

/// Returns whether the rules close a network.
fn closes(env: &Env, network: &str) -> bool {
    let everything = env.everything().join("\n");
    everything.contains(&format!("-o br-{network} "))
}

#[test]
fn a_network_that_is_not_named_any_more_is_refused_until_it_is_meant() {
    on_a_machine(|env| {
        run(env, "apply both.tide", 0);
        let before = env.everything();
        for verb in ["apply other.tide", "install other.tide", "plan other.tide"] {
            let text = run(env, verb, 1);
            assert!(text.contains("error[T0526]"), "{verb}: {text}");
            assert!(
                text.contains("`shop` (br-shop)") && text.contains("`blog` (br-blog)"),
                "{text}"
            );
            assert!(text.contains("--forget"), "{text}");
            assert_eq!(env.everything(), before, "{verb}");
        }
        // One that is meant does not stand for another.
        let text = run(env, "apply other.tide --forget shop", 1);
        assert!(
            text.contains("`blog`") && !text.contains("`shop`"),
            "{text}"
        );
        let text = run(env, "apply other.tide --forget br-shop --forget blog", 1);
        assert!(text.contains("`shop`"), "{text}");
        assert_eq!(env.everything(), before);
        assert!(closes(env, "shop") && closes(env, "blog"));

        let text = run(env, "apply blog.tide --forget shop", 0);
        assert!(text.contains(": in force\n"), "{text}");
        assert!(!text.contains("T0526"), "{text}");
        assert!(!closes(env, "shop") && closes(env, "blog"));
        run(env, "apply both.tide", 0);
        assert!(closes(env, "shop") && closes(env, "blog"));
    });
}

/// Makes the installed bundle's rules another text than its manifest has the hash of.
fn edit(env: &Env, folder: &str) {
    let path = format!("{folder}/rules.v4");
    let text = env.host.read(&path).unwrap().unwrap();
    env.host
        .write(&path, &text.replace("DROP", "ACCEPT"))
        .unwrap();
}

/// Returns the folders of the history.
fn history(env: &Env) -> Vec<String> {
    let folder = "/var/lib/tidegate/history";
    let names = env.host.names(folder).unwrap();
    let versions = names.iter().filter(|name| name.len() == 64);
    versions.map(|name| format!("{folder}/{name}")).collect()
}

/// One name on another bridge may be another project's network.
#[test]
fn a_network_of_the_same_name_is_no_other_ones_stand_in() {
    on_a_machine(|env| {
        run(env, "apply shop.tide", 0);
        let shop = fs::read_to_string(env.root.path().join("shop.tide")).unwrap();
        let shop = shop
            .replace("br-shop", "br-blog")
            .replace("172.28", "172.29");
        fs::write(env.root.path().join("twin.tide"), shop).unwrap();
        let text = run(env, "apply twin.tide", 1);
        assert!(
            text.contains("error[T0526]") && text.contains("br-shop"),
            "{text}"
        );
        run(env, "apply twin.tide --forget shop", 0);
    });
}

#[test]
fn a_copy_tells_where_the_installed_bundle_is_damaged_or_gone() {
    let damages: [fn(&Env); 2] = [
        |env| edit(env, store::CURRENT),
        |env| env.host.remove_folder(store::CURRENT).unwrap(),
    ];
    for damage in damages {
        on_a_machine(|env| {
            run(env, "apply both.tide", 0);
            damage(env);
            let before = env.everything();
            let text = run(env, "apply blog.tide", 1);
            assert!(
                text.contains("error[T0526]") && text.contains("`shop` (br-shop)"),
                "{text}"
            );
            assert_eq!(env.everything(), before);
            // The same policy heals, and says what it was compared with.
            let text = run(env, "apply both.tide", 0);
            assert!(
                text.contains("warning[T0530]") && text.contains("both.tide"),
                "{text}"
            );
            let text = run(env, "apply both.tide", 0);
            assert!(!text.contains("T0530"), "{text}");
        });
    }
}

#[test]
fn where_no_copy_can_be_read_that_is_said_and_the_answer_is_not_yes() {
    on_a_machine(|env| {
        run(env, "apply both.tide", 0);
        let spoil = || {
            for folder in &history(env) {
                edit(env, folder);
            }
            edit(env, store::CURRENT);
            if env.host.exists(store::PREVIOUS) {
                env.host.remove_folder(store::PREVIOUS).unwrap();
            }
        };
        spoil();
        let text = run(env, "install blog.tide", 1);
        assert!(text.contains("error[T0531]"), "{text}");
        run(env, "apply both.tide --forget blog", 0);
        spoil();
        let text = run(env, "apply blog.tide", 1);
        assert!(
            text.contains("error[T0531]") && text.contains("not known"),
            "{text}"
        );
        assert!(
            text.contains("blog.tide, version ") && text.contains(": in force\n"),
            "{text}"
        );
        let text = run(env, "apply blog.tide", 0);
        assert!(!text.contains("T0531"), "{text}");
    });
}

const PUBLISHED: &str = "\
engine: docker 28.5.2
networks:
  wiki_default: {driver: bridge, bridge: br-0123456789ab, subnets: [172.30.0.0/16]}
containers:
  wiki: {networks: {wiki_default: [172.30.0.2]}, ports: ['8090->80/tcp']}
";

#[test]
fn the_first_policy_closes_no_port_without_a_word() {
    on_a_machine(|env| {
        fs::write(env.root.path().join("facts.yaml"), PUBLISHED).unwrap();
        let leaves = fs::read_to_string(env.root.path().join("other.tide")).unwrap();
        let leaves = leaves.replace("uplink eth0", "uplink eth0\n  others leave\n");
        fs::write(env.root.path().join("leave.tide"), leaves).unwrap();
        let before = env.rules(Family::V4);
        let text = run(env, "apply other.tide --inventory facts.yaml", 1);
        assert!(text.contains("error[T0527]"), "{text}");
        assert!(text.contains("8090/tcp of `wiki`"), "{text}");
        assert_eq!(env.rules(Family::V4), before);
        let meant = fs::read_to_string(env.root.path().join("other.tide")).unwrap();
        let meant = meant.replace("uplink eth0", "uplink eth0\n  others closed\n");
        fs::write(env.root.path().join("other.tide"), meant).unwrap();
        let text = run(env, "apply other.tide --inventory facts.yaml", 0);
        assert!(!text.contains("T0527"), "{text}");
        let gate = env.rules(Family::V4).join("\n");
        assert!(gate.contains("br-"), "{gate}");
        run(env, "uninstall", 0);
        let text = run(env, "apply leave.tide --inventory facts.yaml", 0);
        assert!(!text.contains("T0527"), "{text}");
    });
}
