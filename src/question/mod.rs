//! Questions about packets: who asks whom, on which machine, and what comes of it.

mod machine;
mod meaning;
mod report;
#[cfg(test)]
mod tests;
mod who;

pub use machine::{Assumed, LiveError, of_live, of_policy, of_rules, placed};
pub use meaning::Told;
pub use report::{Answer, as_json, as_text, shortest};
pub use who::{Question, Way, WhoError, no_sets, service, ways};
