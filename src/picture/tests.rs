//! Words that would act if they were not escaped.

use super::escape;
use super::graph::{Edge, Graph, Kind, Node, Sureness};
use super::{dot, mermaid, svg};

const HOSTILE: &str = "</svg><script>\"]'\\&\u{1b}\u{202e}";

fn graph() -> Graph {
    let node = |kind| Node {
        name: HOSTILE.to_owned(),
        kind,
        note: HOSTILE.to_owned(),
        network: None,
    };
    let edge = Edge {
        from: 0,
        to: 1,
        label: HOSTILE.to_owned(),
        sureness: Sureness::Limited,
    };
    Graph {
        title: HOSTILE.to_owned(),
        nodes: vec![node(Kind::Outside), node(Kind::Host), node(Kind::Network)],
        edges: vec![edge],
        notes: vec![HOSTILE.to_owned()],
    }
}

#[test]
fn names_cannot_end_what_they_stand_in() {
    let graph = graph();
    let svg = svg(&graph);
    assert_eq!(svg.matches("</svg>").count(), 1, "{svg}");
    assert!(!svg.contains("<script"), "{svg}");
    let mermaid = mermaid(&graph);
    assert!(
        !mermaid.contains("<script") && !mermaid.contains("\"]'"),
        "{mermaid}"
    );
    let dot = dot(&graph);
    assert!(dot.contains("<script>\\\"]'\\\\&"), "{dot}");
    for text in [svg, mermaid, dot] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
    assert_eq!(escape::xml("<a b='c'>&"), "&lt;a b=&#39;c&#39;&gt;&amp;");
}
