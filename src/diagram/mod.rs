//! Decision diagrams over intervals: functions from packets to answers, each stored once.
//!
//! A function asks one field after the other, always in the same order, and goes on by the interval
//! that the field's value lies in. Equal functions are one node, so that comparing two of any size is
//! comparing two numbers. Prior art: Christiansen and Fleury, "Interval Decision Diagrams for Packet
//! Filters" (2002); Liu and Gouda, "Diverse Firewall Design" (2004).

mod apply;
mod budget;
mod change;
mod every;
mod join;
mod look;
mod meet;
mod pieces;
mod store;
#[cfg(test)]
mod tests;

pub use budget::Budget;
pub use change::Instead;
pub use meet::Wanted;
pub use store::{Level, Manager, Node};
