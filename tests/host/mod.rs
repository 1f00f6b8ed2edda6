//! The rim: files, folders and who may write them.

mod attacks;
mod loader;
mod units;
