//! Where the boxes stand.

use super::lanes::{self, LANE};
use super::rows::{Row, is_left, rows};
use super::{LETTER, LINE, MAX_LETTERS, letters};
use crate::picture::graph::{Graph, Kind};

/// Distance from the edge of the page.
const MARGIN: usize = 16;
/// Distance between boxes.
const SPACE: usize = 12;
/// Height of a box's name.
const HEAD: usize = 26;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the graph's node.
    pub(super) node: usize,
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Frames before what is in them.
    pub(super) boxes: Vec<Place>,
    /// Height of the first note.
    pub(super) notes: usize,
}

pub(super) fn layout(graph: &Graph) -> Layout {
    let left = sources(graph);
    let left_end = left
        .iter()
        .map(|it| it.x + it.width)
        .max()
        .unwrap_or(MARGIN);
    let x = left_end + LANE * (left.len() + 2);
    let right = targets(graph, x);
    let right_end = right.iter().map(|it| it.x + it.width).max().unwrap_or(x);
    let bottom = |boxes: &[Place]| boxes.iter().map(|it| it.y + it.height).max();
    let bottom = bottom(&left).max(bottom(&right)).unwrap_or(MARGIN);
    let notes = bottom + SPACE + LINE;
    let boxes: Vec<Place> = left.into_iter().chain(right).collect();
    let lanes = lanes::count_right(graph, &boxes);
    let said = graph.notes.iter().map(|note| letters(note) * LETTER);
    let said = said.max().unwrap_or(0) * 7 / 8 + 2 * MARGIN;
    Layout {
        width: said.max(right_end + LANE * (lanes + 1) + MARGIN),
        height: notes + LINE * graph.notes.len(),
        boxes,
        notes,
    }
}

/// Places the sources that reach anything one below the other.
fn sources(graph: &Graph) -> Vec<Place> {
    let is_asked = |node: &usize| graph.edges.iter().any(|edge| edge.from == *node);
    let shown = (0..graph.nodes.len()).filter(|node| is_left(graph, *node) && is_asked(node));
    let shown: Vec<usize> = shown.collect();
    let width = shown.iter().map(|node| wide(graph, *node)).max();
    let mut y = MARGIN;
    let place = |node: usize| {
        let here = Place {
            node,
            x: MARGIN,
            y,
            width: width.unwrap_or(0),
            height: HEAD + 4,
            rows: Vec::new(),
        };
        y += here.height + SPACE;
        here
    };
    shown.into_iter().map(place).collect()
}

/// Returns how wide the texts of a node are, cut as they are drawn.
fn wide(graph: &Graph, node: usize) -> usize {
    let here = graph.nodes.get(node);
    let texts = here.map_or(["", ""], |it| [it.name.as_str(), it.note.as_str()]);
    let rows = rows(graph, node, 0);
    let labels = rows.iter().map(|row| row.label.as_str());
    let most = texts.into_iter().chain(labels).map(letters).max();
    most.unwrap_or(0).min(MAX_LETTERS) * LETTER + 20
}

/// Places the host, and below it the networks with their containers.
fn targets(graph: &Graph, x: usize) -> Vec<Place> {
    let all = 0..graph.nodes.len();
    let right = all.filter(|node| !is_left(graph, *node));
    let inner = right.map(|node| wide(graph, node)).max().unwrap_or(0);
    let outer = inner + 2 * SPACE;
    let mut boxes = Vec::new();
    let mut y = MARGIN;
    let host = graph.nodes.iter().position(|it| it.kind == Kind::Host);
    if let Some(host) = host {
        let host = filled(graph, host, (x, y), outer);
        y += host.height + SPACE;
        boxes.push(host);
    }
    for (network, own) in graph.networks() {
        let mut frame = filled(graph, network, (x, y), outer);
        let mut inside = Vec::new();
        for container in own {
            let at = (x + SPACE, frame.y + frame.height + SPACE / 2);
            let container = filled(graph, container, at, inner);
            frame.height += container.height + SPACE;
            inside.push(container);
        }
        y += frame.height + SPACE;
        boxes.push(frame);
        boxes.extend(inside);
    }
    boxes
}

/// Makes a box as high as its name and its rows.
fn filled(graph: &Graph, node: usize, (x, y): (usize, usize), width: usize) -> Place {
    let here = graph.nodes.get(node);
    let has_note = here.is_some_and(|it| !it.note.is_empty());
    let head = if has_note { HEAD + 16 } else { HEAD };
    let rows = rows(graph, node, y + head);
    let height = head + rows.iter().map(|row| row.height).sum::<usize>();
    Place {
        node,
        x,
        y,
        width,
        height: height + 2,
        rows,
    }
}
