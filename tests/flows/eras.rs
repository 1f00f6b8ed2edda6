//! The tables of packets through all tables of a machine: the engine's rules of every release, and
//! ours as they are written.

use std::net::IpAddr;

use tidegate::netfilter::docker::{DockerSetup, VERSIONS, guard};
use tidegate::netfilter::dump::{Dump, States};
use tidegate::netfilter::trace::{End, Link, Machine, Probe, Trace, traces};
use tidegate::netfilter::{Family, lower, render, render_chains};
use tidegate::policy::ir::{Backend, Engine, Policy, Protocol, Release};
use tidegate::source::SourceMap;

use super::kernel::World;
use super::table::{Flow, HOST, Origin, address_of, network_towards, with_addresses};
use super::{UPLINK, cases};
use crate::support::ns::is_root;

/// Returns the rules that a policy becomes in one family.
fn written(policy: &Policy, sources: &SourceMap, family: Family) -> String {
    let ruleset = lower(policy, family).expect("few rules");
    render(&ruleset, &render_chains(&ruleset, sources))
}

/// Returns a policy's machine in one family, with the engine's rules below ours.
fn machine(policy: &Policy, sources: &SourceMap, engine: &str, family: Family) -> Machine {
    let v6 = family == Family::V6;
    let mut rules = Dump::default();
    // What the kernel has from the start.
    let bare = "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n*mangle\n\
                :FORWARD ACCEPT\nCOMMIT\n*nat\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n\
                COMMIT\n*raw\n:PREROUTING ACCEPT\nCOMMIT\n";
    let ours = written(policy, sources, family);
    for text in [bare, engine, guard(policy, engine), &ours] {
        let loaded = rules.load(text, family);
        loaded.unwrap_or_else(|error| panic!("{error}"));
    }
    let mut interfaces = vec![Link {
        name: UPLINK.to_owned(),
        addresses: vec![
            format!("{}/{}", HOST[usize::from(v6)], if v6 { 64 } else { 24 })
                .parse()
                .expect("an address"),
        ],
    }];
    for network in policy.networks.iter().filter(|network| network.local) {
        let subnets = network
            .subnets
            .iter()
            .filter(|net| net.addr().is_ipv6() == v6);
        let addresses = subnets.map(|net| {
            let gateway = net.hosts().nth(usize::from(v6)).expect("a host");
            ipnet::IpNet::new(gateway, net.prefix_len()).expect("a length")
        });
        interfaces.push(Link {
            name: network.bridge.0.clone(),
            addresses: addresses.collect(),
        });
    }
    let all = if v6 { "::/0" } else { "0.0.0.0/0" };
    Machine {
        family,
        rules,
        interfaces,
        routes: vec![(all.parse().expect("a prefix"), UPLINK.to_owned())],
    }
}

fn probe(policy: &Policy, flow: &Flow) -> Probe {
    let to = flow.to.ip();
    let own = |to: IpAddr| {
        let here = HOST[usize::from(to.is_ipv6())].parse().expect("an address");
        if to.is_loopback() { to } else { here }
    };
    let (input, source) = match flow.from {
        Origin::Host => (None, own(to)),
        Origin::Outside(address) => (Some(UPLINK.to_owned()), address),
        Origin::Container(id) => {
            let network = network_towards(policy, id, to);
            let address = address_of(policy, id, network, to.is_ipv6()).expect("an address");
            let shown = &policy.networks[network.0];
            // A container of another host comes by the uplink.
            let bridge = if shown.local { &shown.bridge.0 } else { UPLINK };
            (Some(bridge.to_owned()), address)
        }
    };
    Probe {
        input,
        source,
        destination: to,
        protocol: match flow.protocol {
            Protocol::Icmp => 1,
            Protocol::Sctp => 132,
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        },
        source_port: 40_000,
        port: flow.to.port(),
        icmp: (8, 0),
        tcp_flags: 2,
        state: States::NEW,
        mark: 0,
        connmark: 0,
    }
}

/// Returns the way of a packet that is over no limit.
fn way(machine: &Machine, probe: &Probe) -> Trace {
    let all = traces(machine, probe);
    let within = |trace: &Trace| trace.assumptions.iter().all(|assumed| !assumed.holds);
    all.into_iter()
        .find(within)
        .expect("the first way has every answer no")
}

/// Runs a table through one engine's rules, and returns the lines that come out otherwise.
fn wrong(
    policy: &Policy,
    sources: &SourceMap,
    flows: &[Flow],
    setup: Option<DockerSetup>,
) -> Vec<String> {
    let machines = Family::BOTH.map(|family| {
        let engine = setup.map(|setup| setup.rules(&with_addresses(policy), family == Family::V6));
        machine(policy, sources, &engine.unwrap_or_default(), family)
    });
    let mut found = Vec::new();
    for flow in flows {
        let trace = way(
            &machines[usize::from(flow.to.is_ipv6())],
            &probe(policy, flow),
        );
        // Nobody listens on a port of the host that nothing translates where no engine has a proxy.
        let proxied = trace.end == End::Host && flow.at_host;
        let served = setup.is_some_and(|setup| setup.proxy) || !proxied;
        if trace.end.arrives() != flow.open && (served || flow.open) {
            found.push(format!(
                "{}: {:?} by {:?}",
                flow.text,
                trace.end,
                trace.steps.last()
            ));
        }
    }
    found
}

#[test]
fn packets_pass_the_rules_of_every_release_as_the_tables_say() {
    let mut runs = 0;
    for case in cases() {
        if !matches!(
            case.policy.host.engine,
            Engine::Docker {
                backend: Backend::Iptables,
                ..
            }
        ) {
            continue;
        }
        for version in VERSIONS {
            let policy = on(&case.policy, version);
            for setup in DockerSetup::all(version) {
                let wrong = wrong(&policy, &case.sources, &case.flows, Some(setup));
                assert!(
                    wrong.is_empty(),
                    "{}: {setup:?}: {wrong:#?}",
                    case.folder.display()
                );
                runs += case.flows.len();
            }
        }
    }
    assert!(runs > 9_000, "{runs} packets only");
}

/// Returns a policy as it would be for another release.
fn on(policy: &Policy, version: (u32, u32)) -> Policy {
    let mut policy = policy.clone();
    policy.host.engine = Engine::Docker {
        release: Some(Release {
            major: version.0,
            minor: Some(version.1),
        }),
        backend: Backend::Iptables,
    };
    policy
}

/// The releases in between are as one of these to the kernel.
#[test]
fn packets_pass_the_kernel_below_the_rules_of_other_releases() {
    if !is_root() {
        return;
    }
    let all = cases();
    let case = all
        .iter()
        .find(|case| case.folder.ends_with("06-everything"));
    let case = case.expect("the case is there");
    for version in [(1, 13), (17, 6), (27, 0), (28, 2), (29, 0)] {
        let policy = on(&case.policy, version);
        let world = World::new(&policy, &case.flows, "nft");
        world.settings(&case.bundle);
        for family in Family::BOTH {
            world.load(&written(&policy, &case.sources, family), family);
        }
        let fails = |flow: &&Flow| world.try_flow(&policy, flow) != flow.open;
        let wrong: Vec<&str> = case
            .flows
            .iter()
            .filter(fails)
            .map(|flow| flow.text.as_str())
            .collect();
        assert!(wrong.is_empty(), "{version:?}: {wrong:#?}");
    }
}

#[test]
fn packets_pass_our_own_rules_alone_as_the_tables_say() {
    for case in cases() {
        if matches!(case.policy.host.engine, Engine::None(_)) {
            let wrong = wrong(&case.policy, &case.sources, &case.flows, None);
            assert!(wrong.is_empty(), "{}: {wrong:#?}", case.folder.display());
        }
    }
}
