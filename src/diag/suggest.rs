//! The nearest known name to a misspelt one.
