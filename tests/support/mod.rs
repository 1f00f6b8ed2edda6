//! What several tests need.

pub mod bundle;
pub mod client;
pub mod emulated;
pub mod env;
pub mod faulty;
pub mod files;
pub mod lab;
pub mod ns;
