//! The picture in the DOT language of Graphviz.

use std::fmt::Write;

use super::escape::dot as safe;
use super::graph::{Edge, Graph, Kind, Node, Sureness};

/// Writes a graph as `dot`, graphviz(7), takes it.
pub fn dot(graph: &Graph) -> String {
    let title = safe(&graph.title);
    let notes = safe(&graph.notes.join("\n"));
    let mut text = format!(
        "// Drawn by tidegate.\ndigraph policy {{\n  rankdir=LR;\n  label=\"{title}\\n{notes}\";\n  labelloc=t;\n  \
         graph [fontname=\"sans-serif\", fontsize=11];\n  node [shape=box, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", fontsize=10];\n"
    );
    for (at, node) in graph.nodes.iter().enumerate() {
        if matches!(node.kind, Kind::Outside | Kind::Trust | Kind::Host) {
            self::node(&mut text, "  ", at, node);
        }
    }
    for (at, own) in graph.networks() {
        cluster(&mut text, graph, at, &own);
    }
    for edge in &graph.edges {
        self::edge(&mut text, edge);
    }
    text.push_str("}\n");
    text
}

fn node(text: &mut String, indent: &str, at: usize, node: &Node) {
    let shape = match node.kind {
        Kind::Outside => ", shape=ellipse",
        Kind::Trust => ", style=rounded",
        Kind::Network => ", style=dashed",
        Kind::Host | Kind::Container => "",
    };
    let _ = writeln!(text, "{indent}n{at} [label=\"{}\"{shape}];", said(node));
}

fn said(node: &Node) -> String {
    match (node.kind, node.note.as_str()) {
        (Kind::Network, _) | (_, "") => safe(&node.name),
        (_, small) => format!("{}\\n{}", safe(&node.name), safe(small)),
    }
}

/// A network is a cluster, and a node of its own for what any of its containers may.
fn cluster(text: &mut String, graph: &Graph, at: usize, own: &[usize]) {
    let Some(network) = graph.nodes.get(at) else {
        return;
    };
    let (name, note) = (safe(&network.name), safe(&network.note));
    let _ = writeln!(
        text,
        "  subgraph cluster_{at} {{\n    label=\"{name}\\n{note}\";"
    );
    let is_asked = |edge: &Edge| edge.from == at || edge.to == at;
    if own.is_empty() || graph.edges.iter().any(is_asked) {
        node(text, "    ", at, network);
    }
    for (at, container) in own
        .iter()
        .filter_map(|at| Some((*at, graph.nodes.get(*at)?)))
    {
        node(text, "    ", at, container);
    }
    text.push_str("  }\n");
}

fn edge(text: &mut String, edge: &Edge) {
    let style = match edge.sureness {
        Sureness::All => "",
        Sureness::Limited => ", style=dashed",
        Sureness::Some => ", style=dotted",
    };
    let (label, ending) = (safe(&edge.label), edge.sureness.ending());
    let _ = writeln!(
        text,
        "  n{} -> n{} [label=\"{label}{ending}\"{style}];",
        edge.from, edge.to
    );
}
