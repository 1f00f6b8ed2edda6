//! What several tests need.

pub mod files;
pub mod ns;
