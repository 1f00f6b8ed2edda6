//! The session in which rules are applied is not ended by them unless they are on trial.

use std::fs;
use std::process::{Command, Output};

use tidegate::host::Variant;
use tidegate::netfilter::Family;

use super::cli::ends;
use crate::support::env::{Env, on};
use crate::support::ns::Namespace;

const SHOP: &str = "trust office { 192.0.2.0/24, 2001:db8::/64 }\n\
                    network shop {\n  bridge br-shop\n  subnet 172.28.0.0/16\n}\n";

/// Runs a command as from a shell whose session sudo(8) has hidden.
fn over_ssh(env: &Env, session: &str, line: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_tidegate");
    let (variant, root) = (env.variant_name(), env.root.path().display());
    let script = format!(
        "env -u SSH_CONNECTION {program} {line} --iptables {variant} --root {root}; exit $?"
    );
    Command::new("sh")
        .args(["-c", &script])
        .env("SSH_CONNECTION", session)
        .current_dir(env.root.path())
        .output()
        .unwrap()
}

fn on_a_machine(test: impl Fn(&Env) + Sync) {
    on(Variant::Nft, |env| {
        let client = Namespace::new();
        for line in [
            "link set lo up".to_owned(),
            format!("link add eth0 type veth peer name c0 netns {}", client.id),
            "address add 192.0.2.1/24 dev eth0".to_owned(),
            "address add 2001:db8::1/64 dev eth0 nodad".to_owned(),
            "link set eth0 up".to_owned(),
        ] {
            Env::ip(&line);
        }
        for (name, denied) in [("ssh", "22/tcp"), ("mail", "25/tcp")] {
            let policy = format!("{SHOP}deny office -> host : {denied}\n");
            fs::write(env.root.path().join(format!("{name}.tide")), policy).unwrap();
        }
        test(env);
    });
}

#[test]
fn rules_that_would_end_it_are_refused_and_may_be_tried() {
    on_a_machine(|env| {
        let before = Family::BOTH.map(|family| env.rules(family));
        for session in [
            "192.0.2.10 50000 192.0.2.1 22",
            "2001:db8::10 50000 2001:db8::1 22",
        ] {
            let text = ends(&over_ssh(env, session, "apply ssh.tide"), 1);
            assert!(text.contains("error[T0534]"), "{text}");
            assert!(text.contains("nothing was changed"), "{text}");
            assert_eq!(Family::BOTH.map(|family| env.rules(family)), before);
        }
        let mail = "192.0.2.10 50000 192.0.2.1 22";
        ends(&over_ssh(env, mail, "apply mail.tide"), 0);
        let text = ends(&over_ssh(env, mail, "apply --confirm 60 ssh.tide"), 0);
        assert!(!text.contains("T0534"), "{text}");
        ends(&over_ssh(env, mail, "rollback"), 0);
        // From elsewhere it does no harm.
        let elsewhere = "198.51.100.7 50000 192.0.2.1 22";
        ends(&over_ssh(env, elsewhere, "apply ssh.tide"), 0);
    });
}
