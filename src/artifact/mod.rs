//! The compiled policy as files: what a bundle holds and how it is checked.

mod bundle;
mod lines;
mod manifest;
mod origins;
mod parties;

pub use bundle::{Bundle, BundleError};
pub use manifest::{
    FORMAT, ForwardEntry, HookEntry, MANIFEST, MODULES, Manifest, PARTIES, ROUTES, RULES_V4,
    RULES_V6, RouteEntry, SOURCE_MAP, SYSCTL, SysctlEntry,
};
pub use origins::{ChainOrigins, OriginEntry, Origins};
pub use parties::{AttachmentEntry, ContainerEntry, NetworkEntry, Opening, Parties};

pub use crate::hash::sha256;
pub use crate::netfilter::Place;
