//! The rim: files, folders and who may write them.

mod loader;
mod units;
