//! Puts a bundle in force, says how a machine differs from it, and takes it away again.
//!
//! What to do is worked out from texts by pure functions (`plan`, `state`, `settings`, `compare`,
//! `report`); doing it goes through [`crate::host::Host`].

pub mod against;
mod apply;
mod blind;
mod boot;
mod burst;
mod closed;
mod compare;
mod confirm;
mod converge;
mod cut;
mod drift;
mod engine;
mod error;
mod forget;
mod forward;
mod frames;
mod history;
mod install;
mod intact;
mod job;
pub mod metrics;
mod overrides;
mod plan;
mod preview;
mod rehearse;
mod rehearsed;
pub mod report;
mod rescue;
mod routes;
pub mod settings;
mod standing;
mod state;
mod status;
pub mod store;
mod trial;

pub use apply::{Options, Outcome, apply, apply_installed, follow};
pub use boot::boot_failure;
pub use burst::Burst;
pub use closed::not_whole as closed_not_whole;
pub use confirm::{Stage, confirm, return_in_time, rollback, seconds, try_out, went_back};
pub use cut::{Doomed, doomed};
pub use drift::{drift, repair};
pub use engine::{Mismatch, Mismatches, look as look_at_engine};
pub use error::{ApplyError, Difference, Problem};
pub use forget::{Forgotten, closed_at_first, forgets_nothing};
pub use forward::is_beside_nftables;
pub use frames::{OpenFrames, open_frames};
pub use history::{KEPT, Past};
pub use install::{POLICIES, clear, disarm, install, instance, report_only, uninstall, units};
pub use overrides::overridden;
pub use plan::{is_ours, transaction};
pub use preview::{NewRules, Preview, SideError, ends_session, preview, sides};
pub use state::{EngineChain, Hook, Spot, StateError, TideState, TideTable};
pub use status::{InForce, Status, Unit, status};
pub use trial::{Returned, Trial, of as on_trial};
