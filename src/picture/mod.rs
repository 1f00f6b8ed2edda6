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
