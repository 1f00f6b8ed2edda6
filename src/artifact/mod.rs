//! The compiled policy as files: what a bundle holds and how it is checked.

mod bundle;
mod manifest;
mod parties;

pub use bundle::{Bundle, BundleError};
pub use manifest::{
    ChainHash, FORMAT, ForwardEntry, HookEntry, MANIFEST, MODULES, Manifest, ROUTES, RULES_V4,
    RULES_V6, RouteEntry, SYSCTL, SourceEntry, SysctlEntry,
};
pub use parties::{AttachmentEntry, ContainerEntry, NetworkEntry, Parties};

pub use crate::hash::sha256;
pub use crate::netfilter::Place;
