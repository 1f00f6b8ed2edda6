//! The bounds of a policy text. A policy is untrusted input.

/// Bytes of one file.
pub const FILE: usize = 1 << 20;
/// Entries of one list in a statement.
pub const LIST: usize = 10_000;
/// Members of one trust set.
pub const MEMBERS: usize = 200_000;
/// Bytes of one name.
pub const NAME: usize = 64;
/// Brackets within brackets.
pub const DEPTH: usize = 64;
