//! The machine: the only part of tidegate that does I/O.
//!
//! [`Host`] is what putting a bundle in force needs of it; [`LinuxHost`] is the real one.

mod bundle;
mod command;
mod engine;
mod error;
mod files;
mod follow;
mod input;
mod linux;
mod loader;
mod lock;
mod notify;
mod output;
mod owner;
mod scratch;

use std::collections::BTreeMap;

pub use bundle::write_bundle;
pub use command::Variant;
pub use engine::{EngineFacts, SOCKET, inventory as engine_inventory, is_running as engine_runs};
pub use error::{HostError, shown};
pub use follow::{News, follow};
pub use input::standard_input;
pub use linux::{LinuxHost, is_root};
pub use loader::{FolderLoader, KeptLoader, POLICY_FILE};
pub use lock::Lock;
pub use notify::{Notice, notify};
pub use output::print;
pub use owner::Trust;

pub use self::files::{
    FileKind, folder_of, kind, policies_below, policies_in, read_file, read_folder, rewrite,
    write as write_file,
};
use crate::netfilter::Family;

/// Reads and changes one machine.
///
/// Paths are absolute and lie under the host's root folder; rules and kernel settings are those
/// of the network namespace of the calling thread.
pub trait Host {
    /// Waits until no other tidegate changes this machine, and keeps it so for the lock's life.
    fn lock(&self) -> Result<Lock, HostError>;

    /// Returns whether the kernel has IPv6 (it has not when booted with `ipv6.disable=1`).
    fn has_ipv6(&self) -> bool;

    /// Returns the rules in force, as iptables-save(8) prints them.
    fn save(&self, family: Family) -> Result<String, HostError>;

    /// Loads a text with `iptables-restore --noflush`, each of its tables whole or not at all.
    fn restore(&self, family: Family, text: &str) -> Result<(), HostError>;

    /// Loads texts one after the other where nothing else is, and returns what then stands there.
    fn rehearse(&self, family: Family, texts: &[&str]) -> Result<String, HostError>;

    /// Returns a kernel setting's value, or nothing if this kernel has no such setting.
    fn sysctl(&self, path: &str) -> Result<Option<String>, HostError>;

    fn set_sysctl(&self, path: &str, value: &str) -> Result<(), HostError>;

    /// Returns the routes of the main table, as `ip -json route` prints them; ip-route(8).
    fn routes(&self, family: Family) -> Result<String, HostError>;

    /// Returns all interfaces with their addresses, as `ip -json address` prints them; ip-address(8).
    fn addresses(&self) -> Result<String, HostError>;

    /// Changes routes by a text for `ip -batch`.
    fn routes_batch(&self, text: &str) -> Result<(), HostError>;

    /// Returns what the running engine says of itself, or nothing where none runs.
    fn engine(&self) -> Result<Option<EngineFacts>, HostError>;

    fn has_module(&self, name: &str) -> bool;

    fn load_module(&self, name: &str) -> Result<(), HostError>;

    /// Returns a file's text, or nothing if there is no such file.
    fn read(&self, path: &str) -> Result<Option<String>, HostError>;

    /// Returns the text of somebody else's file, links followed; nothing where there is none.
    fn read_linked(&self, path: &str) -> Result<Option<String>, HostError>;

    /// Returns the names of what is in a folder, sorted; none if there is no such folder.
    fn names(&self, path: &str) -> Result<Vec<String>, HostError>;

    /// Writes a file so that, at any moment, the old text or the new one is there.
    fn write(&self, path: &str, text: &str) -> Result<(), HostError>;

    /// Removes a file; an absent one is fine.
    fn remove(&self, path: &str) -> Result<(), HostError>;

    /// Returns the texts of the files in a folder that root alone may write, or nothing if there
    /// is no such folder.
    fn read_folder(&self, path: &str) -> Result<Option<BTreeMap<String, String>>, HostError>;

    /// Writes a folder anew, and returns when the disk has it.
    fn write_folder(&self, path: &str, files: &BTreeMap<String, String>) -> Result<(), HostError>;

    /// Makes a folder with its parents.
    fn make_folder(&self, path: &str) -> Result<(), HostError>;

    /// Removes a folder with all that is in it; an absent one is fine.
    fn remove_folder(&self, path: &str) -> Result<(), HostError>;

    /// Removes a folder if it is there and empty.
    fn remove_empty_folder(&self, path: &str) -> Result<(), HostError>;

    /// Returns whether something is there, a link to nowhere too.
    fn exists(&self, path: &str) -> bool;

    /// Renames a file or folder, and returns when the disk has it.
    fn rename(&self, from: &str, to: &str) -> Result<(), HostError>;

    /// Makes a symbolic link; one that is there is replaced.
    fn link(&self, path: &str, target: &str) -> Result<(), HostError>;

    /// Copies the running program to `path`.
    fn copy_program(&self, path: &str) -> Result<(), HostError>;

    /// Runs systemctl(1), where systemd runs this machine and the host is more than its files.
    fn systemctl(&self, arguments: &[&str]) -> Result<(), HostError>;
}
