//! The picture as a flowchart of Mermaid, which GitHub and others draw.

use std::fmt::Write;

use super::escape::mermaid as safe;
use super::graph::{Edge, Graph, Kind, Node, Sureness};

/// Writes a graph as Mermaid takes it.
pub fn mermaid(graph: &Graph) -> String {
    let mut text = "%% Drawn by tidegate.\nflowchart LR\n".to_owned();
    for note in &graph.notes {
        // A comment ends with its line.
        let _ = writeln!(text, "  %% {}", safe(note));
    }
    for (at, node) in graph.nodes.iter().enumerate() {
        if matches!(node.kind, Kind::Outside | Kind::Trust | Kind::Host) {
            self::node(&mut text, "  ", at, node);
        }
    }
    for (at, own) in graph.networks() {
        let Some(network) = graph.nodes.get(at) else {
            continue;
        };
        let (name, note) = (safe(&network.name), safe(&network.note));
        let _ = writeln!(text, "  subgraph n{at} [\"{name}<br>{note}\"]");
        for (at, container) in own
            .iter()
            .filter_map(|at| Some((*at, graph.nodes.get(*at)?)))
        {
            node(&mut text, "    ", at, container);
        }
        text.push_str("  end\n");
    }
    for edge in &graph.edges {
        self::edge(&mut text, edge);
    }
    text
}

fn node(text: &mut String, indent: &str, at: usize, node: &Node) {
    let name = match node.note.as_str() {
        "" => safe(&node.name),
        small => format!("{}<br>{}", safe(&node.name), safe(small)),
    };
    let (open, close) = match node.kind {
        Kind::Outside => ("([", "])"),
        Kind::Trust => ("(", ")"),
        Kind::Host | Kind::Network | Kind::Container => ("[", "]"),
    };
    let _ = writeln!(text, "{indent}n{at}{open}\"{name}\"{close}");
}

fn edge(text: &mut String, edge: &Edge) {
    let arrow = match edge.sureness {
        Sureness::All => "-->",
        Sureness::Limited | Sureness::Some => "-.->",
    };
    let (label, ending) = (safe(&edge.label), edge.sureness.ending());
    let _ = writeln!(
        text,
        "  n{} {arrow}|\"{label}{ending}\"| n{}",
        edge.from, edge.to
    );
}
