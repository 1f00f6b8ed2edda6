//! What several tests need.

pub mod client;
pub mod files;
pub mod lab;
pub mod ns;
