//! The compiled policy as files: what a bundle holds and how it is checked.

mod bundle;
mod hash;
mod manifest;

pub use bundle::{Bundle, BundleError};
pub use hash::sha256;
pub use manifest::{
    ChainHash, FORMAT, HookEntry, MANIFEST, MODULES, Manifest, Place, RULES_V4, RULES_V6, SYSCTL,
    SourceEntry, SysctlEntry,
};
