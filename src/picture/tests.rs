//! Hostile words, and shapes of pictures.
