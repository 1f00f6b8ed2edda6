//! Questions about packets: who asks whom, on which machine, and what comes of it.

mod connections;
mod diff;
mod diff_report;
mod expect;
mod machine;
mod matrix;
mod matrix_report;
mod meaning;
mod names;
mod openers;
mod probe;
mod quiet;
mod reasons;
mod region;
mod report;
mod saved;
mod services;
mod side;
#[cfg(test)]
mod tests;
mod who;

pub use diff::{
    Aside, Change, Diff, Differences, Row, Unknowable, differences, differences_within,
};
pub use expect::{HostRules, Unkept, Why, unkept};
pub use machine::{Assumed, LiveError, of_live, of_placed, of_policy, of_rules, placed};
pub use matrix::{Cell, cells, joined as joined_cells};
pub use matrix_report::{
    Table, matrix_json, matrix_list, matrix_markdown, matrix_table, matrix_text,
};
pub use meaning::Told;
pub use names::Words;
pub use openers::{Opener, Openers, Port};
pub use probe::probe;
pub use quiet::{Quiet, Unnoticed};
pub use reasons::Reason;
pub use report::{Answer, as_json, as_text, shortest};
pub use saved::{Compared, compare};
pub use side::{Side, SideKind, on_one_host, placed_as};
pub use who::{Question, Way, WhoError, no_sets, service, ways};
