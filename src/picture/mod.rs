//! Who reaches whom as a picture: for Graphviz, for Mermaid, and as an SVG of its own layout.

mod dot;
pub mod escape;
mod graph;
mod mermaid;
mod svg;
#[cfg(test)]
mod tests;

pub use dot::dot;
pub use graph::{Edge, Graph, Kind, Node, Sureness, graph};
pub use mermaid::mermaid;
pub use svg::svg;

/// Tells whether a text is a picture, or a page with one: each says in its first lines who wrote it.
pub fn is_drawn(text: &str) -> bool {
    let mut first = text.lines().take(8);
    first.any(|line| MARKS.contains(&line))
}

/// A line of DOT, Mermaid, SVG and HTML each.
const MARKS: [&str; 4] = [
    "// Drawn by tidegate.",
    "%% Drawn by tidegate.",
    "<!-- Drawn by tidegate. -->",
    "<meta name=\"generator\" content=\"tidegate\">",
];
