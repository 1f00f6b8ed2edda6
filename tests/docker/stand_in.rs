//! The rules that stand in for an engine are those of the engine that runs here.

use std::collections::BTreeMap;

use tidegate::facts::Facts;
use tidegate::netfilter::Family;
use tidegate::netfilter::docker::DockerSetup;
use tidegate::netfilter::dump::{Dump, DumpRule, read};
use tidegate::policy::ir::Policy;
use tidegate::policy::load_with;

use super::{RUN, SHOP, make_network, release, start_db, start_web};
use crate::support::files::Files;
use crate::support::lab::{Host, docker_host};

/// A network that the engine keeps apart, as facts say.
const VAULT: &str = "
network vault {
  bridge br-vault
  subnet 172.30.0.0/16, fd00:30::/64
  icc    on
}
container hidden on vault at 172.30.0.20, fd00:30::20 { expose 80/tcp }
";
const FACTS: &str = "networks:
  vault:
    driver: bridge
    bridge: br-vault
    subnets: [172.30.0.0/16, 'fd00:30::/64']
    internal: true
";

#[test]
fn what_stands_in_for_this_engine_is_what_it_writes() {
    let Some((_lab, host)) = docker_host() else {
        return;
    };
    host.run("engine start");
    make_network(&host);
    start_web(&host);
    start_db(&host);
    host.run(&format!(
        "docker network create --internal --ipv6 --subnet 172.30.0.0/16 --subnet fd00:30::/64 \
         -o com.docker.network.bridge.name=br-vault vault && \
         {RUN} --name hidden --network vault --ip 172.30.0.20 --ip6 fd00:30::20 box"
    ));
    // A container that Docker gives an address is not in the comparison.
    let text = SHOP.replace(
        "container blog on shop {\n  expose 80/tcp as 8090 from office\n}",
        "",
    );
    let text = format!("{text}{VAULT}");
    let facts = Facts::read(FACTS).expect("facts");
    let loaded = load_with(&Files::one(&text), "policy.tide", Some(&facts));
    let policy = loaded.policies.first().expect("the policy is in order");

    let version = release(&host);
    for (proxy, options) in [(true, ""), (false, "--userland-proxy=false")] {
        host.run(&format!("engine restart {options}"));
        for family in Family::BOTH {
            compare(&host, policy, version, proxy, family);
        }
    }
}

fn compare(host: &Host, policy: &Policy, version: (u32, u32), proxy: bool, family: Family) {
    let tool = match family {
        Family::V4 => "iptables-save",
        Family::V6 => "ip6tables-save",
    };
    let saved = host.run(tool);
    let found = read(&saved, family).expect("the engine's rules are in order");
    let setup = DockerSetup {
        version,
        closed: saved.contains(":FORWARD DROP"),
        ip6tables: family == Family::V4 || found.chain("filter", "DOCKER").is_some(),
        proxy,
    };
    let written = setup.rules(policy, family == Family::V6);
    let written = read(&written, family).expect("the stand-in's rules are in order");
    assert_eq!(
        rules(&written),
        rules(&found),
        "{setup:?}, {family:?}:\n{saved}"
    );
}

/// Returns the rules of each chain, whatever their order, without those of the default bridge and of
/// what no packet of the tables meets.
fn rules(dump: &Dump) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for (table, chains) in &dump.tables {
        for (name, chain) in &chains.chains {
            let kept = chain.rules.iter().filter(|rule| is_compared(rule));
            let shown = |rule: &DumpRule| format!("{:?} {:?}", rule.conditions, rule.action);
            let mut shown: Vec<String> = kept.map(shown).collect();
            shown.sort();
            if !shown.is_empty() {
                all.insert(format!("{table} {name}"), shown);
            }
        }
    }
    all
}

fn is_compared(rule: &DumpRule) -> bool {
    // A RETURN at a chain's end, and the masquerade of a container that asks itself.
    let to_itself = rule.text.ends_with("-j MASQUERADE") && rule.text.contains(" -p ");
    rule.text != "-j RETURN" && !to_itself && !rule.text.contains("docker0")
}
