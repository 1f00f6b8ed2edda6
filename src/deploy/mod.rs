//! Puts a bundle in force, says how a machine differs from it, and takes it away again.
//!
//! What to do is worked out from texts by pure functions (`plan`, `state`, `settings`, `compare`,
//! `report`); doing it goes through [`crate::host::Host`].

mod apply;
mod burst;
mod compare;
mod drift;
mod engine;
mod error;
mod install;
mod overrides;
mod plan;
mod preview;
mod rehearse;
pub mod report;
mod routes;
pub mod settings;
mod state;
pub mod store;

pub use apply::{Options, Outcome, apply, apply_installed, follow};
pub use burst::Burst;
pub use drift::{drift, repair};
pub use engine::{Mismatches, look as look_at_engine};
pub use error::{ApplyError, Difference, Problem};
pub use install::{POLICIES, install, instance, uninstall, units};
pub use overrides::overridden;
pub use plan::{is_ours, transaction};
pub use preview::{NewRules, Preview, preview};
pub use state::{EngineChain, Hook, Spot, StateError, TideState, TideTable};
