//! Networks that nobody made to fit the policy: every command says what differs.

use std::process::Output;

use tidegate::facts::{Facts, NetworkFacts};

use super::{POLICY, RUN, apply};
use crate::support::lab::{Host, docker_host};

/// What compose makes: a network without options, whose bridge and subnet are the engine's choice.
fn up(host: &Host) -> NetworkFacts {
    host.run("docker network create shop_default");
    host.run(&format!(
        "{RUN} --name web -h web --network shop_default -p 8080:80 -p 9000:81 box 80 81"
    ));
    let facts = Facts::read(&host.run("tidegate inventory")).expect("it is in order");
    facts.networks["shop_default"].clone()
}

fn down(host: &Host) {
    host.run("docker rm -f web; docker network rm shop_default");
}

fn policy(network: &NetworkFacts) -> String {
    let bridge = network.bridge.as_deref().expect("a bridge");
    let subnets: Vec<String> = network.subnets.iter().map(ToString::to_string).collect();
    format!(
        "host {{\n  uplink eth0\n}}\ntrust office {{\n  192.0.2.10\n}}\n\
         network shop_default {{\n  bridge {bridge}\n  subnet {}\n}}\n\
         container web on shop_default {{\n  expose 80/tcp as 8080 from office\n}}\n",
        subnets.join(", ")
    )
}

fn ends(output: &Output, status: i32, said: &str) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert!(text.contains(said), "{said}: {text}");
}

/// The engine, not the policy, chose the bridge: a project that goes down and up has another one.
#[test]
fn a_network_made_anew_is_told_by_every_command() {
    let Some((lab, host)) = docker_host() else {
        return;
    };
    host.run("engine start");
    let before = up(&host);
    lab.outside.is_served("192.0.2.1:8080", "web");
    apply(&host, &policy(&before));
    lab.office.is_served("192.0.2.1:8080", "web");
    lab.outside.is_refused("192.0.2.1:8080");
    // Published, and no line is about it: closed behind the proxy as well, and told.
    lab.outside.is_refused("192.0.2.1:9000");
    ends(&host.attempt("tidegate drift"), 0, "T0808");

    down(&host);
    ends(&host.attempt("tidegate drift"), 0, "T0801");
    let after = up(&host);
    assert_ne!(before.bridge, after.bridge);
    for command in ["drift", "drift --repair", "status", "doctor"] {
        ends(&host.attempt(&format!("tidegate {command}")), 1, "T0802");
    }
    for command in ["check --live", "plan", "apply", "install"] {
        ends(
            &host.attempt(&format!("tidegate {command} {POLICY}")),
            1,
            "T0802",
        );
    }
    ends(
        &host.attempt("tidegate apply /var/lib/tidegate/current"),
        1,
        "T0802",
    );
    apply(&host, &policy(&after));
    lab.office.is_served("192.0.2.1:8080", "web");
    lab.outside.is_refused("192.0.2.1:8080");
}
