//! What a picture shows: the cells of the matrix that the others do not already say.

use std::collections::{BTreeMap, BTreeSet};

use crate::net::Family;
use crate::policy::ir::{Container, Network, Policy};
use crate::question::{Cell, Words};

/// Most containers that are drawn one by one.
const MAX_CONTAINERS: usize = 40;
/// Most connections that are drawn.
const MAX_EDGES: usize = 200;
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
    let scope = Scope::new(policy);
    let mut columns: BTreeMap<_, Vec<&Cell>> = BTreeMap::new();
    for cell in cells {
        let column = columns.entry((&cell.to, cell.by_host)).or_default();
        column.push(cell);
    }
    let mut parts = Vec::new();
    for cell in cells.iter().filter(|cell| cell.from != "host") {
        let column = columns.get(&(&cell.to, cell.by_host));
        let column = column.map_or(&[][..], Vec::as_slice);
        if !is_said(cell, column, &scope) {
            parts.extend(graph.parts_of(cell, column, &scope, by_network));
        }
    }
    graph.edges = gathered(joined(parts));
    let more = graph.edges.len().saturating_sub(MAX_EDGES);
    if more > 0 {
        graph.edges.truncate(MAX_EDGES);
        graph
            .notes
            .push(format!("Too much for a picture: {more} more connections."));
    }
    graph
}

/// A part of a cell, before those that say the same are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// Its label has no family yet.
    edge: Edge,
    families: Vec<Family>,
    /// Whom it leads to in a network that stands for its containers.
    container: Option<String>,
    /// An end has IPv4 addresses alone, which its network says already.
    plain: bool,
}

impl Part {
    fn ending(&self) -> &'static str {
        match self.families.as_slice() {
            [Family::V4] if !self.plain => " (IPv4)",
            [Family::V6] => " (IPv6)",
            _ => "",
        }
    }
}

/// Puts parts together that differ in their families alone, in the order of the first of each.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut places = BTreeMap::new();
    let mut all: Vec<Part> = Vec::new();
    for part in parts {
        let Edge {
            from,
            to,
            ref label,
            sureness,
        } = part.edge;
        let key = (from, to, label.clone(), sureness, part.container.clone());
        let known = places.get(&key).and_then(|at: &usize| all.get_mut(*at));
        if let Some(known) = known {
            known.families.extend(&part.families);
        } else {
            places.insert(key, all.len());
            all.push(part);
        }
    }
    all
}

/// Puts parts that differ in their container alone together, in the order of the first of each.
fn gathered(parts: Vec<Part>) -> Vec<Edge> {
    let mut places: BTreeMap<(usize, usize, String, Sureness), usize> = BTreeMap::new();
    let mut all: Vec<(Edge, BTreeSet<String>)> = Vec::new();
    for part in parts {
        let label = format!("{}{}", part.edge.label, part.ending());
        let edge = Edge { label, ..part.edge };
        let key = (edge.from, edge.to, edge.label.clone(), edge.sureness);
        let at = *places.entry(key).or_insert_with(|| {
            all.push((edge, BTreeSet::new()));
            all.len() - 1
        });
        if let Some((_, containers)) = all.get_mut(at) {
            containers.extend(part.container);
        }
    }
    let named = |(edge, containers): (Edge, BTreeSet<String>)| {
        let label = match containers.first() {
            Some(one) if containers.len() == 1 => format!("{one}: {}", edge.label),
            Some(_) => format!("{} containers: {}", containers.len(), edge.label),
            None => edge.label,
        };
        Edge { label, ..edge }
    };
    all.into_iter().map(named).collect()
}

impl Graph {
    /// Returns the parts of one cell, without those that others of its column tell better.
    fn parts_of(
        &self,
        cell: &Cell,
        column: &[&Cell],
        scope: &Scope<'_>,
        by_network: bool,
    ) -> Vec<Part> {
        let policy = scope.policy;
        let ends = (
            self.place(&cell.from, policy, by_network),
            self.place(&cell.to, policy, by_network),
        );
        let (Some(from), Some(to)) = ends else {
            return Vec::new();
        };
        let is_told = |words: &Words| is_told_in_parts(words, cell, column, scope);
        let shown = parts(cell).filter(|(words, sure)| *sure != Sureness::Some || !is_told(words));
        let here = scope.containers.contains_key(cell.to.as_str());
        let part = |(words, sureness): (&Words, Sureness)| Part {
            edge: Edge {
                from,
                to,
                label: label(cell, words),
                sureness,
            },
            families: cell.families.clone(),
            container: (by_network && here).then(|| cell.to.clone()),
            plain: is_single(&cell.from, policy) || is_single(&cell.to, policy),
        };
        shown.filter(|_| from != to).map(part).collect()
    }

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
        let first = |it: &&Container| {
            let first = it.attachments.first();
            first.is_some_and(|at| at.network.0 == number)
        };
        for container in policy.containers.iter().filter(first) {
            if !by_network {
                let others = container.attachments.iter().skip(1);
                let others = others.filter_map(|it| policy.networks.get(it.network.0));
                let others: Vec<&str> = others.map(|it| it.name.as_str()).collect();
                let also = match others.as_slice() {
                    [] => String::new(),
                    others => format!("also on {}", others.join(", ")),
                };
                nodes.push(node(&container.name, Kind::Container, also, Some(at)));
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
        "Not drawn: what the host itself opens, what goes out, what a wider source has anyway,"
            .to_owned(),
        "and what some addresses of a source have where a name within it is drawn with the same."
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

/// What the names of a policy are.
struct Scope<'p> {
    policy: &'p Policy,
    trusts: BTreeSet<&'p str>,
    networks: BTreeMap<&'p str, usize>,
    containers: BTreeMap<&'p str, &'p Container>,
}

impl<'p> Scope<'p> {
    fn new(policy: &'p Policy) -> Self {
        let networks = policy.networks.iter().enumerate();
        let containers = policy.containers.iter();
        Scope {
            policy,
            trusts: policy.trusts.iter().map(|it| it.name.as_str()).collect(),
            networks: networks.map(|(at, it)| (it.name.as_str(), at)).collect(),
            containers: containers.map(|it| (it.name.as_str(), it)).collect(),
        }
    }

    /// Tells whether one source has another in it.
    fn covers(&self, wide: &str, narrow: &str) -> bool {
        if wide == "outside" {
            return self.trusts.contains(narrow);
        }
        match (self.networks.get(wide), self.containers.get(narrow)) {
            (Some(network), Some(container)) => {
                let mut all = container.attachments.iter();
                all.all(|it| it.network.0 == *network)
            }
            _ => false,
        }
    }
}

/// Tells whether a wider source has the same.
fn is_said(cell: &Cell, column: &[&Cell], scope: &Scope<'_>) -> bool {
    column.iter().any(|other| {
        scope.covers(&other.from, &cell.from)
            && parts(other).eq(parts(cell))
            && cell.families.iter().all(|it| other.families.contains(it))
    })
}

/// Tells whether names within a source have each service that only some of its addresses have.
fn is_told_in_parts(some: &Words, cell: &Cell, column: &[&Cell], scope: &Scope<'_>) -> bool {
    let narrow = column.iter().filter(|other| {
        let families = cell.families.iter();
        scope.covers(&cell.from, &other.from)
            && families.clone().all(|it| other.families.contains(it))
    });
    let told: Vec<&Words> = narrow
        .flat_map(|other| other.all.iter().chain(&other.limited))
        .collect();
    let has = |word: &String| {
        let those = told.iter().filter(|it| it.except.is_empty());
        let mut those = those.flat_map(|it| &it.these);
        those.any(|it| it == word || it == "any")
    };
    some.except.is_empty() && some.these.iter().all(has)
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

fn label(cell: &Cell, words: &Words) -> String {
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
    text
}

/// Tells whether a name has IPv4 addresses alone: its network says so already.
fn is_single(name: &str, policy: &Policy) -> bool {
    let plain = |it: &Network| it.subnets.iter().all(|net| net.addr().is_ipv4());
    let network = policy.networks.iter().find(|it| it.name == name);
    let container = policy.containers.iter().find(|it| it.name == name);
    let of = |container: &Container| {
        let mut all = container.attachments.iter();
        all.all(|at| policy.networks.get(at.network.0).is_some_and(plain))
    };
    network.is_some_and(plain) || container.is_some_and(of)
}
