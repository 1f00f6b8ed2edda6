//! What runs on the machine: what the engine itself says, told by nobody of tidegate.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::support::lab::Host;

/// A network of the engine's with a bridge.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) bridge: String,
    pub(super) subnets: Vec<IpNet>,
    pub(super) gateways: Vec<IpAddr>,
    pub(super) is_internal: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) name: String,
    /// Its networks, and its addresses there.
    pub(super) networks: BTreeMap<String, Vec<IpAddr>>,
    pub(super) published: Vec<Published>,
    /// The ports on which it answers, as `80` or `53/udp`.
    pub(super) serves: Vec<Port>,
}

/// A port that the engine publishes, at one address of the host's or at all of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) at: IpAddr,
    pub(super) host: u16,
    pub(super) port: Port,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    pub(super) number: u16,
    pub(super) is_udp: bool,
}

impl Port {
    /// Reads `80`, `80/tcp` or `53/udp`.
    pub(super) fn read(text: &str) -> Self {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        Port {
            number: number.parse().unwrap_or_else(|_| panic!("{text}: a port")),
            is_udp: protocol == "udp",
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Truth {
    pub(super) networks: BTreeMap<String, Network>,
    pub(super) containers: Vec<Container>,
}

impl Truth {
    /// Asks the engine; `serves` tells the ports on which each container answers.
    pub(super) fn of(host: &Host, serves: &BTreeMap<String, Vec<Port>>) -> Self {
        let networks = host.run("docker network inspect $(docker network ls -q)");
        let containers = host.run(
            "all=$(docker ps -q); if [ \"$all\" ]; then docker inspect $all; else echo '[]'; fi",
        );
        Truth {
            networks: list(&networks).iter().filter_map(network).collect(),
            containers: list(&containers)
                .iter()
                .map(|value| container(value, serves))
                .collect(),
        }
    }

    pub(super) fn container(&self, name: &str) -> Option<&Container> {
        self.containers
            .iter()
            .find(|container| container.name == name)
    }
}

fn list(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("a list")
}

fn network(value: &Value) -> Option<(String, Network)> {
    let name = value["Name"].as_str()?;
    if value["Driver"] != "bridge" {
        return None;
    }
    let chosen = value["Options"]["com.docker.network.bridge.name"].as_str();
    let own = || format!("br-{:.12}", value["Id"].as_str().expect("an id"));
    let parts = value["IPAM"]["Config"].as_array()?;
    let word = |part: &Value, key: &str| Some(part[key].as_str()?.to_owned());
    let words = |key| parts.iter().filter_map(move |part| word(part, key));
    let network = Network {
        bridge: chosen.map_or_else(own, str::to_owned),
        subnets: words("Subnet")
            .filter_map(|text| text.parse().ok())
            .collect(),
        // Unless somebody chose another one, a bridge has its subnet's first address.
        gateways: words("Subnet")
            .filter_map(|text| text.parse::<IpNet>().ok()?.hosts().next())
            .collect(),
        is_internal: value["Internal"] == true,
    };
    Some((name.to_owned(), network))
}

fn container(value: &Value, serves: &BTreeMap<String, Vec<Port>>) -> Container {
    let name = value["Name"]
        .as_str()
        .expect("a name")
        .trim_start_matches('/');
    let settings = &value["NetworkSettings"];
    let networks = settings["Networks"].as_object().expect("networks");
    Container {
        name: name.to_owned(),
        networks: networks
            .iter()
            .map(|(name, value)| (name.clone(), addresses(value)))
            .collect(),
        published: published(&settings["Ports"]),
        serves: serves.get(name).cloned().unwrap_or_default(),
    }
}

fn addresses(value: &Value) -> Vec<IpAddr> {
    ["IPAddress", "GlobalIPv6Address"]
        .into_iter()
        .filter_map(|key| value[key].as_str()?.parse().ok())
        .collect()
}

fn published(ports: &Value) -> Vec<Published> {
    let mut found = Vec::new();
    for (port, bindings) in ports.as_object().into_iter().flatten() {
        for binding in bindings.as_array().into_iter().flatten() {
            let word = |key: &str| binding[key].as_str().expect("a word");
            found.push(Published {
                at: word("HostIp").parse().expect("an address"),
                host: word("HostPort").parse().expect("a port"),
                port: Port::read(port),
            });
        }
    }
    found
}
