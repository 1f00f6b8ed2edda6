//! What a question may cost, in work that is counted: the same on every machine, however busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Steps that a manager takes before it tells its budget.
const STRIDE: u64 = 4_096;

/// How much work functions may be. Clones share it, also between threads: whether it is enough does not
/// depend on which of them comes first, since all work is counted until it is spent.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Edges of one manager; one takes about 40 bytes, with what is kept of the work.
    edges_each: usize,
    /// Edges of all managers at one time.
    edges: usize,
    edges_now: AtomicUsize,
    /// Edges that are looked at or made, over all the time.
    steps: u64,
    steps_taken: AtomicU64,
}

/// No more than that many edges of one manager.
impl From<usize> for Budget {
    fn from(edges_each: usize) -> Self {
        Budget::new(edges_each, usize::MAX, u64::MAX)
    }
}

impl From<&Budget> for Budget {
    fn from(budget: &Budget) -> Self {
        budget.clone()
    }
}

impl Budget {
    /// Makes a budget of edges for each manager, edges that all have at one time, and steps of all.
    pub fn new(edges_each: usize, edges: usize, steps: u64) -> Self {
        Budget(Arc::new(Shared {
            edges_each,
            edges,
            edges_now: AtomicUsize::new(0),
            steps,
            steps_taken: AtomicU64::new(0),
        }))
    }

    /// Returns true once it is spent.
    pub fn is_spent(&self) -> bool {
        self.steps_taken() > self.0.steps
    }

    /// Returns how many steps were told so far.
    pub fn steps_taken(&self) -> u64 {
        self.0.steps_taken.load(Ordering::Relaxed)
    }

    /// Counts work that needs no manager.
    pub fn take(&self, steps: u64) {
        self.0.steps_taken.fetch_add(steps, Ordering::Relaxed);
    }

    /// Ends the work of all that share it.
    pub fn spend(&self) {
        self.take(self.0.steps.saturating_add(1));
    }
}

/// One manager's share of a budget.
#[derive(Debug)]
pub(super) struct Account {
    budget: Budget,
    edges: usize,
    steps: u64,
}

impl Account {
    pub(super) fn new(budget: Budget) -> Self {
        Account {
            budget,
            edges: 0,
            steps: 0,
        }
    }

    /// Counts steps.
    pub(super) fn step(&mut self, steps: usize) {
        self.steps += steps as u64;
    }

    /// Returns false when there were too many steps.
    pub(super) fn lasts(&mut self) -> bool {
        if self.steps < STRIDE {
            return true;
        }
        self.budget.take(std::mem::take(&mut self.steps));
        !self.budget.is_spent()
    }

    /// Counts edges that are kept, and returns false where they are too many.
    pub(super) fn keep(&mut self, edges: usize) -> bool {
        let shared = &self.budget.0;
        self.edges += edges;
        let all = shared.edges_now.fetch_add(edges, Ordering::Relaxed) + edges;
        self.edges <= shared.edges_each && all <= shared.edges
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.budget.take(self.steps);
        let shared = &self.budget.0;
        shared.edges_now.fetch_sub(self.edges, Ordering::Relaxed);
    }
}
