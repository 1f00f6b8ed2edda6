//! The lines: from a source to its lane, along it, and to the rows where they end.

use super::layout::{Layout, Place};
use super::rows::is_left;
use crate::picture::graph::{Graph, Sureness};

/// Distance of two lanes.
pub(super) const LANE: usize = 12;
/// Length of an arrow's tip.
const TIP: usize = 7;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) path: String,
    pub(super) tip: String,
    pub(super) says: String,
    pub(super) sureness: Sureness,
    pub(super) colour: usize,
}

/// Where the lines of a source run.
#[derive(Debug, Clone, Copy)]
struct Lane {
    node: usize,
    number: usize,
    /// Where they begin.
    start: usize,
    /// How far up and down they run.
    reach: (usize, usize),
}

/// Counts the lanes to the right of all boxes.
pub(super) fn count_right(graph: &Graph, boxes: &[Place]) -> usize {
    let lanes = lanes(graph, boxes, false);
    lanes.iter().map(|lane| lane.number + 1).max().unwrap_or(0)
}

/// Gives each source of one side a lane; those that never meet share one.
fn lanes(graph: &Graph, boxes: &[Place], left: bool) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = Vec::new();
    for source in boxes {
        let node = source.node;
        let of_node = graph.edges.iter().enumerate();
        let edges = of_node.filter(|(_, edge)| edge.from == node && is_left(graph, node) == left);
        let ends = edges.filter_map(|(number, _)| end(boxes, number).map(|(_, y, _)| y));
        let ends: Vec<usize> = ends.collect();
        let (Some(first), Some(last)) = (ends.iter().min(), ends.iter().max()) else {
            continue;
        };
        let start = source.y + 13;
        let reach = (start.min(*first), start.max(*last));
        let meets = |number: usize| {
            let mut same = lanes.iter().filter(|lane| lane.number == number);
            same.any(|lane| lane.reach.0 <= reach.1 + LANE && reach.0 <= lane.reach.1 + LANE)
        };
        let number = (0..=lanes.len())
            .find(|number| !meets(*number))
            .unwrap_or(0);
        lanes.push(Lane {
            node,
            number,
            start,
            reach,
        });
    }
    lanes
}

/// Returns the box and the height at which an edge ends, and whether at its left side.
fn end(boxes: &[Place], edge: usize) -> Option<(&Place, usize, bool)> {
    boxes.iter().find_map(|at| {
        let (y, left) = at.rows.iter().find_map(|row| row.end(edge))?;
        Some((at, y, left))
    })
}

/// Draws all edges.
pub(super) fn lines(graph: &Graph, layout: &Layout) -> Vec<Line> {
    let boxes = &layout.boxes;
    let frames = boxes.iter().filter(|at| !is_left(graph, at.node));
    let (first, last) = (
        frames.clone().map(|at| at.x).min().unwrap_or(0),
        frames.map(|at| at.x + at.width).max().unwrap_or(0),
    );
    let mut lines = Vec::new();
    for (left, edge) in [(true, first), (false, last)] {
        for lane in lanes(graph, boxes, left) {
            let away = LANE * (lane.number + 1);
            let x = if left {
                edge - away - LANE / 2
            } else {
                edge + away
            };
            for (number, asked) in graph.edges.iter().enumerate() {
                if asked.from == lane.node
                    && let Some((target, y, _)) = end(boxes, number)
                    && let Some(source) = boxes.iter().find(|at| at.node == lane.node)
                {
                    let tip = if left {
                        target.x
                    } else {
                        target.x + target.width
                    };
                    let ways = [source.x + source.width, lane.start, x, y, tip];
                    lines.push(line(graph, number, ways, left));
                }
            }
        }
    }
    lines
}

/// Draws one edge: from where it starts to its lane, and along that to the tip of its arrow.
fn line(graph: &Graph, number: usize, ways: [usize; 5], left: bool) -> Line {
    let [start, from, lane, y, tip] = ways;
    let base = if left {
        tip.saturating_sub(TIP)
    } else {
        tip + TIP
    };
    let edge = graph.edges.get(number);
    let name = |node: usize| graph.nodes.get(node).map_or("", |it| it.name.as_str());
    let says = edge.map(|edge| {
        let ending = edge.sureness.ending();
        format!(
            "{} to {}: {}{ending}",
            name(edge.from),
            name(edge.to),
            edge.label
        )
    });
    Line {
        path: format!("M{start} {from}{}H{base}", corners(from, lane, y, left)),
        tip: format!("M{tip} {y}L{base} {}V{}Z", y - 4, y + 4),
        says: says.unwrap_or_default(),
        sureness: edge.map_or(Sureness::All, |edge| edge.sureness),
        colour: edge.map_or(0, |edge| edge.from),
    }
}

/// Returns the way to a lane and out of it, with round corners where there is room for them.
fn corners(from: usize, lane: usize, y: usize, left: bool) -> String {
    let radius = (from.abs_diff(y) / 2).min(5);
    if radius == 0 {
        return String::new();
    }
    let (down, up) = (from + radius, from.saturating_sub(radius));
    let (turn, back) = if from < y {
        (down, y - radius)
    } else {
        (up, y + radius)
    };
    let out = if left { lane + radius } else { lane - radius };
    let before = lane - radius;
    format!("H{before}Q{lane} {from} {lane} {turn}V{back}Q{lane} {y} {out} {y}")
}
