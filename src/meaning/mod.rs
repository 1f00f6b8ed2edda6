//! What rules mean, and what a policy means, as functions of all packets at once.
//!
//! Both sides are worked out apart: rules by what iptables-extensions(8) says of each match and
//! target, a policy by what docs/language.md says of each statement. Equal meaning is then one node.

mod by_address;
mod chains;
mod conditions;
mod cover;
#[cfg(test)]
mod cover_tests;
mod journey;
mod outcome;
mod packet;
mod policy;
mod routing;
mod runs;
mod space;
mod surplus;
#[cfg(test)]
mod tests;
mod translator;
mod validate;

pub use chains::{Chains, TooDeep};
pub use cover::{Cover, Product};
pub use journey::{End, Fate, Journey};
pub use outcome::{Bit, Outcome, Verdict};
pub use packet::Sample;
pub use policy::interfaces;
pub use space::{Atom, Field, Space, Unknown, bits};
pub use surplus::{
    By, Kind, MAX_STATEMENTS, Setting, Spare, Surplus, TooMany, Why, spare_sources, surplus,
};
pub use validate::{Difference, Invalid, MAX_EDGES, validate};
