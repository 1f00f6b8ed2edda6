//! A first policy from what there is: compose files, a running engine, or both.

mod compare;
mod draft;
mod from_compose;
mod from_engine;
mod links;
mod print;
#[cfg(test)]
mod tests;

pub use compare::compare;
pub use draft::{Container, Draft, Network, Published};
pub use from_compose::from_compose;
pub use from_engine::{fill, from_engine};
pub use print::print;
