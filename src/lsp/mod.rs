//! The language server, but for its pipe: messages in, messages out.
//!
//! What is open in the editor counts before what is on disk. A file that does not parse is read as
//! far as it can be; what the policy means is that of its last state without mistakes.

mod complete;
mod context;
mod edits;
mod hover;
mod mentions;
mod outline;
mod path;
mod project;
mod session;
mod text;

pub use project::Disk;
pub use session::Session;
