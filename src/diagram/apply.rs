//! Functions made of two.

use std::collections::BTreeSet;

use super::store::{Answers, Edge, Level, Manager, Memo, Node, Seen};

/// What is done where both functions have answered; part of the memo's key.
#[derive(Debug, Clone, Copy)]
enum Op {
    /// The left answer, and the right one where the left is a certain answer.
    Fill(u32),
    /// The right answer where the left is not 0, else 0.
    Guard,
    /// The right answer where the left is 0, else 0.
    Except,
    /// 1 where the answers are not the same.
    Differ,
    /// The sum, if it is at most 2.
    Sum,
}

impl Op {
    fn key(self) -> u32 {
        match self {
            Op::Guard => u32::MAX,
            Op::Except => u32::MAX - 1,
            Op::Differ => u32::MAX - 2,
            Op::Sum => u32::MAX - 3,
            Op::Fill(answer) => answer,
        }
    }

    /// Returns the result where it needs no look below.
    fn shortcut(self, a: Node, b: Node) -> Option<Node> {
        match self {
            Op::Fill(_) if a == b => Some(a),
            Op::Fill(gap) if b == Node::answer(gap) => Some(a),
            Op::Fill(gap) => a.as_answer().map(|left| if left == gap { b } else { a }),
            Op::Except | Op::Guard if b == Node::NO => Some(b),
            Op::Guard => a
                .as_answer()
                .map(|left| if left == 0 { Node::NO } else { b }),
            Op::Except => a
                .as_answer()
                .map(|left| if left == 0 { b } else { Node::NO }),
            Op::Differ if a == b => Some(Node::NO),
            Op::Differ => a.as_answer().and(b.as_answer()).map(|_| Node::YES),
            Op::Sum if a == Node::NO => Some(b),
            Op::Sum if b == Node::NO => Some(a),
            Op::Sum => a
                .as_answer()
                .zip(b.as_answer())
                .map(|(a, b)| Node::answer((a + b).min(2))),
        }
    }
}

/// The edges of a function at a level, or the function itself where it does not ask there.
struct Cursor {
    whole: Node,
    at: usize,
    end: usize,
}

impl Manager {
    /// Returns the left answers, and the right ones where the left is 0.
    pub fn or_else(&mut self, a: Node, b: Node) -> Node {
        self.apply(Op::Fill(0), a, b)
    }

    /// Returns the left answers, and the right ones where the left is `gap`.
    pub fn fill(&mut self, gap: u32, a: Node, b: Node) -> Node {
        self.apply(Op::Fill(gap), a, b)
    }

    /// Returns the right answers where the left is not 0; between yes and no, "and".
    pub fn guard(&mut self, condition: Node, then: Node) -> Node {
        self.apply(Op::Guard, condition, then)
    }

    /// Returns the left answers where the right is 0.
    pub fn except(&mut self, from: Node, what: Node) -> Node {
        self.apply(Op::Except, what, from)
    }

    /// Returns yes where two functions give other answers.
    pub fn differ(&mut self, a: Node, b: Node) -> Node {
        self.apply(Op::Differ, a, b)
    }

    /// Returns `then` where a condition holds, else `otherwise`.
    pub fn select(&mut self, condition: Node, then: Node, otherwise: Node) -> Node {
        let (yes, no) = (
            self.guard(condition, then),
            self.except(otherwise, condition),
        );
        self.or_else(yes, no)
    }

    pub fn not(&mut self, condition: Node) -> Node {
        self.except(Node::YES, condition)
    }

    pub fn all_of(&mut self, all: &[Node]) -> Node {
        all.iter()
            .fold(Node::YES, |so_far, next| self.guard(so_far, *next))
    }

    /// Returns the result where the left side never gives the answer that lets the right one count, or the
    /// other way round.
    fn settled(&self, op: Op, a: Node, b: Node) -> Option<Node> {
        let never = |answer| !self.answers_of(a).may_have(answer);
        match op {
            Op::Fill(gap) => never(gap).then_some(a),
            Op::Guard => never(0).then_some(b),
            Op::Except => never(0).then_some(Node::NO),
            Op::Differ | Op::Sum => None,
        }
    }

    /// Returns the sum of both answers, or 2 where it is more.
    pub(super) fn sum(&mut self, a: Node, b: Node) -> Node {
        self.apply(Op::Sum, a, b)
    }

    fn apply(&mut self, op: Op, a: Node, b: Node) -> Node {
        let known = op.shortcut(a, b);
        if let Some(known) = known.or_else(|| self.settled(op, a, b)) {
            return known;
        }
        let key = (op.key(), a, b);
        if let Some(known) = self.memo.get(&key) {
            return *known;
        }
        if self.is_exhausted() {
            return Node::NO;
        }
        let made = self.merge(a, b, &mut |manager, a, b| manager.apply(op, a, b));
        self.memo.insert(key, made);
        made
    }

    /// Combines the answers of two functions by `answer`, which is asked for each pair once.
    pub fn zip(&mut self, a: Node, b: Node, answer: &mut dyn FnMut(u32, u32) -> u32) -> Node {
        let mut memo = Memo::default();
        self.zip_memo(a, b, answer, &mut memo)
    }

    fn zip_memo(
        &mut self,
        a: Node,
        b: Node,
        answer: &mut dyn FnMut(u32, u32) -> u32,
        memo: &mut Memo<(Node, Node)>,
    ) -> Node {
        if let Some(known) = memo.get(&(a, b)) {
            return *known;
        }
        let made = match (a.as_answer(), b.as_answer()) {
            (Some(a), Some(b)) => Node::answer(answer(a, b)),
            _ => self.merge(a, b, &mut |manager, a, b| {
                manager.zip_memo(a, b, answer, memo)
            }),
        };
        memo.insert((a, b), made);
        made
    }

    /// Makes a node whose edges are those of both, combined by `with`.
    fn merge(
        &mut self,
        a: Node,
        b: Node,
        with: &mut dyn FnMut(&mut Manager, Node, Node) -> Node,
    ) -> Node {
        let Some(level) = self.top(a, b) else {
            return Node::NO;
        };
        let (mut left, mut right) = (self.cursor(a, level), self.cursor(b, level));
        let max = self.max(level);
        let base = self.stack.len();
        loop {
            let ((bound_a, to_a), (bound_b, to_b)) = (self.peek(&left), self.peek(&right));
            let bound = bound_a.min(bound_b).min(max);
            let target = with(self, to_a, to_b);
            self.push_edge(base, bound, target);
            if bound >= max {
                break;
            }
            left.at += usize::from(bound_a == bound);
            right.at += usize::from(bound_b == bound);
        }
        self.finish(level, base)
    }

    fn top(&self, a: Node, b: Node) -> Option<Level> {
        match (self.level(a), self.level(b)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn cursor(&self, node: Node, level: Level) -> Cursor {
        let here = self.level(node) == Some(level);
        let edges = if here { self.edges(node) } else { 0..0 };
        Cursor {
            whole: node,
            at: edges.start,
            end: edges.end,
        }
    }

    fn peek(&self, cursor: &Cursor) -> Edge {
        if cursor.at < cursor.end {
            self.edge(cursor.at)
        } else {
            (u128::MAX, cursor.whole)
        }
    }

    /// Returns all answers that a function may give, in order.
    pub fn answers(&self, node: Node) -> Vec<u32> {
        let answers = self.answers_of(node);
        if !answers.may_have(Answers::SHARED) {
            return answers.own().collect();
        }
        let mut seen = Seen::default();
        let mut found = BTreeSet::from_iter(node.as_answer());
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            for at in self.edges(node) {
                let (_, to) = self.edge(at);
                match to.as_answer() {
                    Some(answer) => drop(found.insert(answer)),
                    None if seen.insert(to) => open.push(to),
                    None => {}
                }
            }
        }
        found.into_iter().collect()
    }
}
