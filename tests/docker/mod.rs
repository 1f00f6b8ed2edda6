//! What the rules do to real traffic on hosts with a real Docker Engine.

mod published;
