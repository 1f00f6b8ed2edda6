//! tidegate: a policy language for container hosts and its compiler to iptables.
//!
//! ```text
//! .tide ─ syntax ─► AST ─ policy ─► Policy ─ netfilter, sysctl ─► rules ─ artifact ─► bundle
//!                                                                  bundle ─ deploy ─► host
//! ```
//!
//! Everything up to the bundle is a pure function of the policy's texts. `host` alone does I/O.
#![forbid(unsafe_code)]

pub mod artifact;
pub mod cli;
pub mod compare;
pub mod compile;
pub mod compose;
pub mod deploy;
pub mod diag;
pub mod diagram;
pub mod doctor;
pub mod facts;
pub mod format;
mod hash;
pub mod host;
pub mod import;
pub mod lint;
pub mod lsp;
pub mod meaning;
pub mod net;
pub mod netfilter;
pub mod picture;
pub mod policy;
pub mod question;
pub mod report;
pub mod source;
pub mod syntax;
pub mod sysctl;
mod yaml;
