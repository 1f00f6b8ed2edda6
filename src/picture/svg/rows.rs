//! The services of a box, each a row with a place for every line that ends there.

use super::LINE;
use crate::picture::graph::{Edge, Graph, Kind};

/// Distance of two lines that end at one row.
const GAP: usize = 7;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) label: String,
    pub(super) y: usize,
    pub(super) height: usize,
    /// Edges that come from the left and from the right, as indices of the graph's edges.
    pub(super) left: Vec<usize>,
    pub(super) right: Vec<usize>,
}

impl Row {
    /// Returns the height at which an edge ends, and whether it does at the left side.
    pub(super) fn end(&self, edge: usize) -> Option<(usize, bool)> {
        let place = |all: &[usize]| {
            let at = all.iter().position(|known| *known == edge)?;
            let room = GAP * all.len().saturating_sub(1);
            Some(self.y + (self.height - room) / 2 + GAP * at)
        };
        let left = place(&self.left).map(|y| (y, true));
        left.or_else(|| place(&self.right).map(|y| (y, false)))
    }
}

/// Tells whether a node stands on the left.
pub(super) fn is_left(graph: &Graph, node: usize) -> bool {
    let kind = graph.nodes.get(node).map(|node| node.kind);
    matches!(kind, Some(Kind::Outside | Kind::Trust))
}

/// Returns the rows of a node, the first at a height of `top`.
pub(super) fn rows(graph: &Graph, node: usize, top: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let here = |(_, edge): &(usize, &Edge)| edge.to == node;
    for (number, edge) in graph.edges.iter().enumerate().filter(here) {
        let label = format!("{}{}", edge.label, edge.sureness.ending());
        let at = rows.iter().position(|row| row.label == label);
        let at = at.unwrap_or_else(|| {
            rows.push(Row {
                label,
                y: 0,
                height: 0,
                left: Vec::new(),
                right: Vec::new(),
            });
            rows.len() - 1
        });
        if let Some(row) = rows.get_mut(at) {
            let side = if is_left(graph, edge.from) {
                &mut row.left
            } else {
                &mut row.right
            };
            side.push(number);
        }
    }
    let mut y = top;
    for row in &mut rows {
        row.y = y;
        row.height = (LINE + 4).max(GAP * row.left.len().max(row.right.len()) + 8);
        y += row.height;
    }
    rows
}
