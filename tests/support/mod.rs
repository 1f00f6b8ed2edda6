//! What the integration tests share.
#![allow(
    clippy::disallowed_methods,
    reason = "tests read files and start processes"
)]

pub(crate) mod client;
pub(crate) mod lab;
