//! A function put together of others, each for some values of one field.

use super::store::{Level, Manager, Node};

impl Manager {
    /// Makes the function that is another one for the values from a first to a last one, and 0 for values
    /// of none. Pieces are in order and apart. Takes time for the edges of the pieces that lie in their
    /// values, where merging one after the other would go through all edges each time.
    ///
    /// Returns nothing where a piece asks what comes before the level.
    pub fn pieces(&mut self, level: Level, pieces: &[(u128, u128, Node)]) -> Option<Node> {
        let asks_before = |node: Node| self.level(node).is_some_and(|top| top < level);
        if pieces.iter().any(|(_, _, node)| asks_before(*node)) {
            return None;
        }
        let (base, max) = (self.stack.len(), self.max(level));
        let (mut next, mut ends_early) = (0, true);
        for &(first, last, node) in pieces {
            if first > max {
                break;
            }
            if let Some(before) = first.checked_sub(1).filter(|_| first > next) {
                self.push_edge(base, before, Node::NO);
            }
            self.push_part(base, level, (first, last.min(max)), node);
            (next, ends_early) = (last.saturating_add(1), last < max);
        }
        if ends_early {
            self.push_edge(base, max, Node::NO);
        }
        Some(self.finish(level, base))
    }

    /// Adds the edges that a function has from a first to a last value of a level.
    fn push_part(&mut self, base: usize, level: Level, (first, last): (u128, u128), node: Node) {
        if self.level(node) != Some(level) {
            return self.push_edge(base, last, node);
        }
        for at in self.edge_at(node, first)..self.edges(node).end {
            let (bound, target) = self.edge(at);
            self.push_edge(base, bound.min(last), target);
            if bound >= last {
                break;
            }
        }
    }
}
