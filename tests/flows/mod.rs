//! Every case of `tests/cases`: the files that it becomes, and its table of packets through the
//! evaluator and through the kernel, which must agree.

mod bounds;
mod engine_nft;
mod eras;
mod kernel;
mod loads;
mod no_engine;
mod raw;
mod table;
pub mod trees;
mod undeclared;
mod wire;

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tidegate::artifact::Bundle;
use tidegate::compile::{compile, recovered};
use tidegate::netfilter::{ConnState, Family, Packet, Ruleset, Table, Verdict, lower, walk};
use tidegate::policy::ir::{Engine, NetworkId, Policy};
use tidegate::policy::load;
use tidegate::question::of_policy;
use tidegate::source::SourceMap;

use crate::support::files::{Folder, repository};
use crate::support::ns::is_root;
use kernel::World;
use table::{Case, Flow, Origin, address_of, network_towards};

const UPLINK: &str = "eth0";

pub struct Prepared {
    folder: PathBuf,
    pub policy: Policy,
    pub bundle: Bundle,
    sources: SourceMap,
    flows: Vec<Flow>,
}

pub fn cases() -> Vec<Prepared> {
    let mut folders: Vec<PathBuf> = fs::read_dir(repository().join("tests/cases"))
        .expect("there are cases")
        .map(|entry| entry.expect("a folder").path())
        .collect();
    folders.sort();
    assert!(folders.len() >= 5, "the cases are gone");
    folders.into_iter().map(prepare).collect()
}

fn prepare(folder: PathBuf) -> Prepared {
    let text = fs::read_to_string(folder.join("flows.yaml")).expect("a case has flows.yaml");
    let case: Case = serde_yaml::from_str(&text).expect("flows.yaml is in order");
    let path = repository().join(&case.policy);
    let loader = Folder(path.parent().expect("a folder").to_owned());
    let main = path
        .file_name()
        .expect("a file")
        .to_string_lossy()
        .into_owned();
    let compiled = compile(&loader, &main);
    let policies = load(&loader, &main).policies;
    let at = policies
        .iter()
        .position(|policy| case.host.is_none() || policy.host.name == case.host)
        .unwrap_or_else(|| panic!("{}: {:#?}", case.policy, compiled.diagnostics));
    let (policy, bundle) = (policies[at].clone(), compiled.bundles[at].clone());
    let flows = case
        .flows
        .iter()
        .map(|line| table::read(line, &policy))
        .collect();
    Prepared {
        folder,
        policy,
        bundle,
        sources: compiled.sources,
        flows,
    }
}

/// `UPDATE=1` writes what is there instead of comparing it.
#[test]
fn cases_become_the_files_expected() {
    for case in cases() {
        let folder = case.folder.join("expected");
        if std::env::var_os("UPDATE").is_some() {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).expect("writable");
            for (name, text) in case.bundle.files() {
                fs::write(folder.join(name), text).expect("writable");
            }
        }
        let written = read_folder(&folder);
        let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            names(&written),
            names(case.bundle.files()),
            "{}",
            folder.display()
        );
        for (name, text) in &written {
            let place = folder.join(name);
            let pairs = text.lines().zip(case.bundle.file(name).lines()).zip(1..);
            for ((expected, found), line) in pairs {
                assert_eq!(expected, found, "{}:{line}", place.display());
            }
            assert!(
                text == case.bundle.file(name),
                "{} ends otherwise",
                place.display()
            );
        }
    }
}

/// Whoever has the bundle alone sees the same machine as its author.
#[test]
fn bundles_tell_the_machine_of_their_policies() {
    for case in cases() {
        let told = recovered(case.bundle.manifest(), case.bundle.parties().unwrap())
            .expect("it is our own");
        for family in Family::BOTH {
            let rules = case.bundle.rules(family);
            let machine = |policy: &Policy| of_policy(policy, rules, family).expect("rules");
            let (written, read) = (machine(&case.policy), machine(&told));
            let place = case.folder.display();
            assert_eq!(written.machine.rules, read.machine.rules, "{place}");
            assert_eq!(written.machine.interfaces, read.machine.interfaces);
            assert_eq!(written.machine.routes, read.machine.routes);
            assert_eq!(written.assumptions, read.assumptions, "{place}");
        }
    }
}

fn read_folder(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).expect("run once with UPDATE=1 and read the result");
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("a file");
        let text = fs::read_to_string(entry.path()).expect("text");
        (entry.file_name().to_string_lossy().into_owned(), text)
    };
    entries.map(file).collect()
}

#[test]
fn packets_pass_the_evaluator_as_the_tables_say() {
    for case in cases() {
        let rulesets = Family::BOTH.map(|family| lower(&case.policy, family).expect("few rules"));
        for flow in &case.flows {
            let ruleset = &rulesets[usize::from(flow.to.is_ipv6())];
            let open = match case.policy.host.engine {
                Engine::Docker { .. } | Engine::Podman => evaluate(&case.policy, ruleset, flow),
                Engine::None(_) => no_engine::evaluate(&case.policy, ruleset, flow),
            };
            assert_eq!(open, flow.open, "{}: {}", case.folder.display(), flow.text);
        }
    }
}

/// Sends a packet of the host's own through the only chain of ours on its way, which is told of the
/// interface that led there before the engine translated anything.
fn host_may(policy: &Policy, ruleset: &Ruleset, flow: &Flow) -> bool {
    let has_chain = ruleset
        .table(Table::Filter)
        .any(|(name, _)| name.as_str() == "TIDE-OUTPUT");
    let mut packet = untranslated(policy, flow);
    if flow.at_host {
        translate(policy, flow, &mut packet);
        "lo".clone_into(&mut packet.output);
    }
    !has_chain || walk(ruleset, Table::Filter, "TIDE-OUTPUT", &mut packet).verdict != Verdict::Drop
}

/// Sends a flow's first packet through our chains. What they leave to the engine passes where the
/// engine's own rules let it: into a published port, or out.
fn evaluate(policy: &Policy, ruleset: &Ruleset, flow: &Flow) -> bool {
    if let Origin::Host = &flow.from {
        return host_may(policy, ruleset, flow);
    }
    let (mut packet, engine_accepts) = first_packet(policy, flow);
    let mut before = packet.clone();
    if let Some((address, port)) = packet.conn.translated_from {
        (before.destination, before.port) = (address, port);
        before.conn.translated_from = None;
    }
    before.output = String::new();
    if walk(ruleset, Table::Raw, "TIDE-RAW", &mut before).verdict == Verdict::Drop {
        return false;
    }
    if packet.output.is_empty() {
        return walk(ruleset, Table::Filter, "TIDE-INPUT", &mut packet).verdict != Verdict::Drop;
    }
    if walk(ruleset, Table::Mangle, "TIDE-GATE", &mut packet).verdict == Verdict::Drop {
        return false;
    }
    passes(policy, ruleset, &mut packet) || engine_accepts
}

/// Tells whether the grant gets a packet past the engine's own rules. Docker's nftables backend
/// looks at the mark itself.
fn passes(policy: &Policy, ruleset: &Ruleset, packet: &mut Packet) -> bool {
    if policy.host.engine.is_nftables() {
        return packet.mark & policy.host.mark != 0;
    }
    walk(ruleset, Table::Filter, "TIDE-PASS", packet).verdict == Verdict::Accept
}

fn first_packet(policy: &Policy, flow: &Flow) -> (Packet, bool) {
    let mut packet = untranslated(policy, flow);
    let accepted = if flow.at_host {
        translate(policy, flow, &mut packet)
    } else {
        packet.output == UPLINK
    };
    (packet, accepted)
}

/// Returns a flow's first packet as it arrives, with the interface that leads to its destination.
fn untranslated(policy: &Policy, flow: &Flow) -> Packet {
    let v6 = flow.to.is_ipv6();
    let (source, input) = match flow.from {
        Origin::Outside(address) => (address, UPLINK.to_owned()),
        Origin::Host => (flow.to.ip(), String::new()),
        Origin::Container(id) => {
            let network = network_towards(policy, id, flow.to.ip());
            let address = address_of(policy, id, network, v6).expect("an address");
            (address, policy.networks[network.0].bridge.0.clone())
        }
    };
    let output = if flow.at_host {
        String::new()
    } else {
        bridge_of(policy, flow.to.ip()).unwrap_or_else(|| UPLINK.to_owned())
    };
    Packet {
        source,
        destination: flow.to.ip(),
        input,
        output,
        protocol: flow.protocol,
        source_port: 40_000,
        port: flow.to.port(),
        icmp_type: 0,
        conn: ConnState::default(),
        mark: 0,
        over: false,
    }
}

/// Does what the engine's DNAT does for clients that are no containers; true where it applies. Loopback
/// addresses are left to its proxy.
fn translate(policy: &Policy, flow: &Flow, packet: &mut Packet) -> bool {
    if matches!(flow.from, Origin::Container(_)) || flow.to.ip().is_loopback() {
        return false;
    }
    for (id, container) in policy.containers.iter().enumerate() {
        for exposure in &container.exposures {
            let Some(published) = &exposure.published else {
                continue;
            };
            let network: NetworkId = container.attachments[0].network;
            let address = address_of(policy, id, network, flow.to.is_ipv6());
            let asked = published.ports.first == flow.to.port()
                && exposure.protocol == flow.protocol
                && published.address.is_none_or(|at| at == flow.to.ip());
            if let (true, Some(address)) = (asked, address) {
                packet.conn.translated_from = Some((flow.to.ip(), flow.to.port()));
                (packet.destination, packet.port) = (address, exposure.ports.first);
                packet
                    .output
                    .clone_from(&policy.networks[network.0].bridge.0);
                return true;
            }
        }
    }
    false
}

fn bridge_of(policy: &Policy, address: IpAddr) -> Option<String> {
    let has = |network: &&tidegate::policy::ir::Network| {
        network
            .subnets
            .iter()
            .any(|subnet| subnet.contains(&address))
    };
    policy
        .networks
        .iter()
        .filter(|network| network.local)
        .find(has)
        .map(|network| network.bridge.0.clone())
}

#[test]
fn packets_pass_the_kernel_as_the_tables_say_nft() {
    kernel_agrees("nft");
}

#[test]
fn packets_pass_the_kernel_as_the_tables_say_legacy() {
    kernel_agrees("legacy");
}

fn kernel_agrees(variant: &'static str) {
    if !is_root() {
        return;
    }
    for case in cases() {
        let world = World::new(&case.policy, &case.flows, variant);
        world.settings(&case.bundle);
        for family in Family::BOTH {
            let saved = world.load(case.bundle.rules(family), family);
            assert_eq!(
                ours(&saved),
                ours(case.bundle.rules(family)),
                "{}",
                case.folder.display()
            );
        }
        let wrong: Vec<&str> = case
            .flows
            .iter()
            .filter(|flow| world.try_flow(&case.policy, flow) != flow.open)
            .map(|flow| flow.text.as_str())
            .collect();
        let rules = world.host.ok(&format!("iptables-{variant}-save -c"));
        assert!(
            wrong.is_empty(),
            "{}, {variant}: {wrong:#?}\n{rules}",
            case.folder.display()
        );
    }
}

/// Returns our chains and rules, table by table: the part that must come back byte for byte.
pub fn ours(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut table = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            name.clone_into(&mut table);
        } else if line.starts_with(":TIDE-") || line.starts_with("-A TIDE-") {
            tables
                .entry(table.clone())
                .or_default()
                .push(line.to_owned());
        }
    }
    tables
}
