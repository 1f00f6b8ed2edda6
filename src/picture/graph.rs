//! What a picture shows: the cells of the matrix that the others do not already say.

use crate::net::Family;
use crate::policy::ir::{Network, Policy};
use crate::question::{Cell, Words};

/// Most containers that are drawn one by one.
const MAX_CONTAINERS: usize = 40;
/// Most words of one label.
const MAX_WORDS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Outside,
    Trust,
    Host,
    Network,
    Container,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub kind: Kind,
    /// Small print.
    pub note: String,
    /// The network that a container is drawn in, as an index of the graph's nodes.
    pub network: Option<usize>,
}

/// How much of what it says a connection may count on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sureness {
    /// Every address of the source.
    All,
    /// Every one, up to a limit.
    Limited,
    /// Some addresses of the source only.
    Some,
}

impl Sureness {
    pub(super) fn ending(self) -> &'static str {
        match self {
            Sureness::All => "",
            Sureness::Limited => " (limited)",
            Sureness::Some => " (some)",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Indices of the graph's nodes.
    pub from: usize,
    pub to: usize,
    pub label: String,
    pub sureness: Sureness,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    pub title: String,
    /// Outside, sets, the host, then each network before its containers.
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// What is not drawn; whole sentences.
    pub notes: Vec<String>,
}

/// Makes a picture of a policy and the cells of all families, joined.
pub fn graph(title: &str, policy: &Policy, cells: &[Cell]) -> Graph {
    let by_network = policy.containers.len() > MAX_CONTAINERS;
    let mut graph = Graph {
        title: title.to_owned(),
        nodes: nodes(policy, by_network),
        edges: Vec::new(),
        notes: notes(policy, by_network),
    };
    for cell in cells.iter().filter(|cell| is_drawn(cell, cells, policy)) {
        let ends = (
            graph.place(&cell.from, policy, by_network),
            graph.place(&cell.to, policy, by_network),
        );
        let (Some(from), Some(to)) = ends else {
            continue;
        };
        for (words, sureness) in parts(cell) {
            let edge = Edge {
                from,
                to,
                label: label(cell, words, policy, by_network),
                sureness,
            };
            if from != to && !graph.edges.contains(&edge) {
                graph.edges.push(edge);
            }
        }
    }
    graph
}

impl Graph {
    /// Returns the node that stands for a name.
    fn place(&self, name: &str, policy: &Policy, by_network: bool) -> Option<usize> {
        let of = |name: &str| self.nodes.iter().position(|node| node.name == name);
        let container = policy.containers.iter().find(|it| it.name == name);
        match container.filter(|_| by_network) {
            None => of(name),
            Some(container) => {
                let first = container.attachments.first()?.network;
                of(&policy.networks.get(first.0)?.name)
            }
        }
    }

    /// Returns the networks, each with its containers.
    pub(super) fn networks(&self) -> impl Iterator<Item = (usize, Vec<usize>)> {
        let all = self.nodes.iter().enumerate();
        all.filter(|(_, node)| node.kind == Kind::Network)
            .map(|(at, _)| {
                let own = self.nodes.iter().enumerate();
                let own = own.filter(|(_, node)| node.network == Some(at));
                (at, own.map(|(at, _)| at).collect())
            })
    }
}

fn nodes(policy: &Policy, by_network: bool) -> Vec<Node> {
    let node = |name: &str, kind, note: String, network| Node {
        name: name.to_owned(),
        kind,
        note,
        network,
    };
    let mut nodes = vec![node("outside", Kind::Outside, String::new(), None)];
    let trusts = policy.trusts.iter();
    nodes.extend(trusts.map(|it| node(&it.name, Kind::Trust, String::new(), None)));
    let name = policy.host.name.clone().unwrap_or_default();
    nodes.push(node("host", Kind::Host, name, None));
    for (number, network) in policy.networks.iter().enumerate() {
        let at = nodes.len();
        nodes.push(node(&network.name, Kind::Network, about(network), None));
        let first = |it: &&crate::policy::ir::Container| {
            let first = it.attachments.first();
            first.is_some_and(|at| at.network.0 == number)
        };
        for container in policy.containers.iter().filter(first) {
            if !by_network {
                let others = container.attachments.iter().skip(1);
                let others = others.filter_map(|it| policy.networks.get(it.network.0));
                let others: Vec<&str> = others.map(|it| it.name.as_str()).collect();
                let note = match others.as_slice() {
                    [] => String::new(),
                    others => format!("also on {}", others.join(", ")),
                };
                nodes.push(node(&container.name, Kind::Container, note, Some(at)));
            }
        }
    }
    nodes
}

fn about(network: &Network) -> String {
    let subnets: Vec<String> = network.subnets.iter().map(ToString::to_string).collect();
    let on = |is: bool| if is { "on" } else { "off" };
    let place = if network.local {
        format!("{}, ", network.bridge.0)
    } else {
        "another host, ".to_owned()
    };
    format!(
        "{place}{}, icc {}, egress {}",
        subnets.join(", "),
        on(network.icc),
        on(network.egress)
    )
}

fn notes(policy: &Policy, by_network: bool) -> Vec<String> {
    let mut notes = vec![
        "Not drawn: what the host itself opens, what goes out, and what a wider source has anyway."
            .to_owned(),
    ];
    if by_network {
        notes.push(format!(
            "These are {} containers: each network stands for its own.",
            policy.containers.len()
        ));
    }
    notes
}

/// Tells whether no other cell says it. The host reaches all that is on it.
fn is_drawn(cell: &Cell, all: &[Cell], policy: &Policy) -> bool {
    if cell.from == "host" {
        return false;
    }
    let same_end = |other: &&Cell| other.to == cell.to && other.by_host == cell.by_host;
    let mut others = all.iter().filter(same_end);
    let is_said = others.clone().any(|other| {
        let other_families = |it: &Family| other.families.contains(it);
        covers(&other.from, &cell.from, policy)
            && parts(other).eq(parts(cell))
            && cell.families.iter().all(other_families)
    });
    let only_some = cell.all.is_none() && cell.limited.is_none();
    let told_in_parts = only_some && others.any(|other| covers(&cell.from, &other.from, policy));
    !is_said && !told_in_parts
}

/// Tells whether one source has another in it.
fn covers(wide: &str, narrow: &str, policy: &Policy) -> bool {
    if wide == "outside" {
        return policy.trusts.iter().any(|it| it.name == narrow);
    }
    let network = policy.networks.iter().position(|it| it.name == wide);
    let container = policy.containers.iter().find(|it| it.name == narrow);
    match (network, container) {
        (Some(network), Some(container)) => container
            .attachments
            .iter()
            .all(|it| it.network.0 == network),
        _ => false,
    }
}

fn parts(cell: &Cell) -> impl Iterator<Item = (&Words, Sureness)> {
    let all = [
        (&cell.all, Sureness::All),
        (&cell.limited, Sureness::Limited),
        (&cell.some, Sureness::Some),
    ];
    all.into_iter()
        .filter_map(|(words, sureness)| Some((words.as_ref()?, sureness)))
}

fn label(cell: &Cell, words: &Words, policy: &Policy, by_network: bool) -> String {
    let list = |words: &[String]| match words.get(..MAX_WORDS) {
        Some(first) if words.len() > MAX_WORDS => {
            format!("{} and {} more", first.join(", "), words.len() - MAX_WORDS)
        }
        _ => words.join(", "),
    };
    let mut text = list(&words.these);
    if !words.except.is_empty() {
        text = format!("{text} except {}", list(&words.except));
    }
    if cell.by_host {
        text.push_str(" by the host");
    }
    let is_container = policy.containers.iter().any(|it| it.name == cell.to);
    if by_network && is_container {
        text = format!("{}: {text}", cell.to);
    }
    match cell.families.as_slice() {
        [Family::V4] if !is_single(&cell.from, policy) && !is_single(&cell.to, policy) => {
            text + " (IPv4)"
        }
        [Family::V6] => text + " (IPv6)",
        _ => text,
    }
}

/// Tells whether a name has IPv4 addresses alone: its network says so already.
fn is_single(name: &str, policy: &Policy) -> bool {
    let plain = |it: &Network| it.subnets.iter().all(|net| net.addr().is_ipv4());
    let network = policy.networks.iter().find(|it| it.name == name);
    let container = policy.containers.iter().find(|it| it.name == name);
    let of = |container: &crate::policy::ir::Container| {
        let mut all = container.attachments.iter();
        all.all(|at| policy.networks.get(at.network.0).is_some_and(plain))
    };
    network.is_some_and(plain) || container.is_some_and(of)
}
