//! A draft from what an engine knows, and a draft that an engine completes.

use std::net::IpAddr;

use super::draft::{Container, Draft, Network, Published, word};
use crate::compose::{Port, port};
use crate::inventory::{ContainerFacts, Inventory};

/// Drafts a policy of the engine's networks and containers.
pub fn from_engine(inventory: &Inventory) -> Draft {
    let engine = inventory.engine.as_deref().unwrap_or("the engine");
    let mut draft = Draft {
        origin: engine.to_owned(),
        ..Draft::default()
    };
    let used = |name: &String| {
        inventory
            .containers
            .values()
            .any(|container| container.networks.contains_key(name))
    };
    for (name, facts) in inventory.networks.iter().filter(|(name, _)| used(name)) {
        if facts.driver != "bridge" {
            let driver = &facts.driver;
            draft.left_out.push(format!(
                "the network {name}, of the driver {driver}: no rule of this host sees its packets"
            ));
            continue;
        }
        draft.networks.push(Network {
            name: network_name(inventory, name),
            engine_name: name.clone(),
            bridge: facts.bridge.clone(),
            subnets: facts.subnets.clone(),
            icc: facts.icc,
            internal: facts.internal,
            note: None,
        });
    }
    for (name, facts) in &inventory.containers {
        container(inventory, name, facts, &mut draft);
    }
    draft
}

fn network_name(inventory: &Inventory, name: &str) -> String {
    if inventory.containers.contains_key(name) {
        word(&format!("{name}-net"))
    } else {
        word(name)
    }
}

fn container(inventory: &Inventory, name: &str, facts: &ContainerFacts, draft: &mut Draft) {
    let here = facts.networks.iter().filter_map(|(network, addresses)| {
        let name = network_name(inventory, network);
        draft.network(&name).map(|_| (name, addresses))
    });
    let here: Vec<(String, &Vec<IpAddr>)> = here.collect();
    if here.is_empty() {
        draft
            .left_out
            .push(format!("{name}, which is on none of the networks here"));
        return;
    }
    let shown = here
        .iter()
        .flat_map(|(_, addresses)| addresses.iter().map(IpAddr::to_string));
    let mut container = Container {
        name: word(name),
        notes: vec![format!("now at {}", shown.collect::<Vec<_>>().join(", "))],
        networks: here
            .iter()
            .map(|(name, _)| (name.clone(), Vec::new()))
            .collect(),
        ..Container::default()
    };
    for text in &facts.ports {
        // Both families of one port are two entries.
        let Some(published) = published(text) else {
            container
                .notes
                .push(format!("{text} is published, too, in a form unknown here"));
            continue;
        };
        if !container.published.contains(&published) {
            container.published.push(published);
        }
    }
    draft.containers.push(container);
}

/// Reads `192.0.2.1:8080->80/tcp`.
fn published(text: &str) -> Option<Published> {
    let Port {
        address,
        host,
        container,
        protocol,
    } = port(&text.replacen("->", ":", 1)).ok()?;
    Some(Published {
        address,
        host: host?,
        container,
        protocol,
    })
}

/// Adds to a draft of compose files what an engine knows of the same networks.
pub fn fill(draft: &mut Draft, inventory: &Inventory) {
    for network in &mut draft.networks {
        if let Some(facts) = inventory.networks.get(&network.engine_name) {
            network.bridge = facts.bridge.clone().or(network.bridge.take());
            network.subnets.clone_from(&facts.subnets);
            network.note = None;
        }
    }
}
