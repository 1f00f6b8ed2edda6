//! A draft from what an engine knows, and a draft that an engine completes.

use std::net::IpAddr;

use super::draft::{Container, Draft, Names, Network};
use super::ports::publish;
use crate::compose::{Port, Protocol};
use crate::facts::{ContainerFacts, Facts, PublishedPort};
use crate::net::PortRange;
use crate::policy::ir;

/// Drafts a policy of the engine's networks and containers.
pub fn from_engine(inventory: &Facts) -> Draft {
    let engine = inventory.engine.as_deref().unwrap_or("the engine");
    let mut draft = Draft {
        origin: engine.to_owned(),
        ..Draft::default()
    };
    let mut names = Names::default();
    let all = inventory.containers.keys();
    // Containers first: what people type most keeps its name.
    let containers: Vec<Container> = all.map(|name| Container::named(name, &mut names)).collect();
    networks(inventory, &mut names, &mut draft);
    for (container, facts) in containers.into_iter().zip(inventory.containers.values()) {
        add(container, facts, &mut draft);
    }
    draft
}

fn networks(inventory: &Facts, names: &mut Names, draft: &mut Draft) {
    let containers = inventory.containers.values();
    let used = |name: &String| containers.clone().any(|it| it.networks.contains_key(name));
    for (engine_name, facts) in inventory.networks.iter().filter(|(name, _)| used(name)) {
        if facts.driver != "bridge" {
            draft.left_out.push(format!(
                "the network {engine_name}, of the driver {}: no rule of this host sees its packets",
                facts.driver
            ));
            continue;
        }
        let name = names.give(engine_name, "net");
        draft.networks.push(Network {
            note: (name != *engine_name).then(|| format!("the engine calls it {engine_name}")),
            name,
            engine_name: engine_name.clone(),
            bridge: facts.bridge.clone(),
            subnets: facts.subnets.clone(),
            icc: facts.icc,
            internal: facts.internal,
        });
    }
}

/// Completes a container and adds it.
fn add(mut container: Container, facts: &ContainerFacts, draft: &mut Draft) {
    let mut now: Vec<String> = Vec::new();
    for (network, addresses) in &facts.networks {
        if let Some(network) = draft.network(network) {
            container.networks.push((network.name.clone(), Vec::new()));
            now.extend(addresses.iter().map(IpAddr::to_string));
        }
    }
    if container.networks.is_empty() {
        let name = container.engine_name;
        draft
            .left_out
            .push(format!("{name}, which is on none of the networks here"));
        return;
    }
    container.notes.push(format!("now at {}", now.join(", ")));
    for port in &facts.ports {
        publish(&written(port), false, draft, &mut container);
    }
    draft.containers.push(container);
}

/// The language has no word for every address of one family.
fn written(port: &PublishedPort) -> Port {
    let one = |port| PortRange {
        first: port,
        last: port,
    };
    Port {
        address: port.single_address(),
        host: Some(one(port.host)),
        container: one(port.container),
        protocol: match port.protocol {
            ir::Protocol::Sctp => Protocol::Sctp,
            ir::Protocol::Udp => Protocol::Udp,
            ir::Protocol::Icmp | ir::Protocol::Tcp => Protocol::Tcp,
        },
    }
}

/// Adds to a draft of compose files what an engine knows of the same networks.
pub fn fill(draft: &mut Draft, inventory: &Facts) {
    for network in &mut draft.networks {
        if let Some(facts) = inventory.networks.get(&network.engine_name) {
            network.bridge = facts.bridge.clone().or(network.bridge.take());
            network.subnets.clone_from(&facts.subnets);
            network.note = None;
        }
    }
}
