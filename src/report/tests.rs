//! Hostile words.
