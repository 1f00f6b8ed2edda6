//! The machine fails in the middle of a change: what stands is old or new and whole, an error says
//! what failed, and the next run heals. `docs/faults.md` lists what is promised.

mod bundle;
mod calls;
mod commands;
mod copies;
mod disk;
mod kill;
mod others;
mod place;
mod signals;
mod tally;
mod wire;
