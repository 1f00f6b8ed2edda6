//! The machine: the only part of tidegate that does I/O.
//!
//! [`Host`] is what putting a bundle in force needs of it; [`LinuxHost`] is the real one.

mod arm;
mod bundle;
mod clock;
mod command;
mod conntrack;
mod engine;
mod error;
mod files;
mod firewalld;
mod folder;
mod follow;
mod input;
mod journal;
mod linux;
mod loader;
mod lock;
mod machine;
mod nft;
mod notify;
mod output;
mod owner;
mod pipes;
mod podman;
mod powers;
mod progress;
mod scratch;
mod session;

use std::collections::BTreeMap;

pub use arm::detach;
pub use bundle::write_bundle;
pub use clock::{Moment, sleep_until};
pub use command::Variant;
pub use conntrack::{Ends, Flow};
pub use engine::{EngineFacts, SOCKET, inventory as engine_inventory, is_running as engine_runs};
pub use error::{HostError, reason, shown};
pub use firewalld::await_firewalld;
pub use follow::{News, follow};
pub use input::standard_input;
pub use journal::{Field, Urgency, for_journal, policy_fields};
pub use linux::{LinuxHost, is_root};
pub use loader::{FolderLoader, KeptLoader, POLICY_FILE};
pub use lock::Lock;
pub use notify::{Notice, notify};
pub use output::{print, print_coloured};
pub use owner::{Access, Trust};
pub use powers::ContainerPowers;
pub use progress::{Moving, Progress, columns};
pub use session::ssh_session;

pub use self::files::{
    FileKind, folder_of, kind, policies_below, policies_in, read_file, read_folder, read_rules,
    rewrite, write as write_file,
};
use crate::facts::Facts;
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

    /// Returns all interfaces with their addresses, as `ip -details -json address` prints them;
    /// ip-address(8).
    fn addresses(&self) -> Result<String, HostError>;

    /// Returns the connections that the kernel tracks, of both families.
    fn flows(&self) -> Result<Vec<Flow>, HostError>;

    /// Makes the kernel forget connections, and returns how many of them were still there.
    fn cut(&self, flows: &[&Flow]) -> Result<usize, HostError>;

    /// Changes routes by a text for `ip -batch`.
    fn routes_batch(&self, text: &str) -> Result<(), HostError>;

    /// Returns what the running engine says of itself, or nothing where none runs.
    fn engine(&self) -> Result<Option<EngineFacts>, HostError>;

    /// Returns what the running engine knows of its networks and containers, and the machine of itself;
    /// nothing where no engine runs.
    fn facts(&self) -> Result<Option<Facts>, HostError>;

    fn has_module(&self, name: &str) -> bool;

    fn load_module(&self, name: &str) -> Result<(), HostError>;

    /// Returns a file's text, or nothing if there is no such file.
    fn read(&self, path: &str) -> Result<Option<String>, HostError>;

    /// Returns the text of somebody else's file, links followed; nothing where there is none.
    fn read_linked(&self, path: &str) -> Result<Option<String>, HostError>;

    /// Returns when a file was written, in seconds since 1970, UTC; nothing where there is none.
    fn modified(&self, path: &str) -> Result<Option<u64>, HostError>;

    /// Returns the names of what is in a folder, sorted; none if there is no such folder.
    fn names(&self, path: &str) -> Result<Vec<String>, HostError>;

    /// Writes a file so that, at any moment, the old text or the new one is there.
    fn write(&self, path: &str, text: &str) -> Result<(), HostError>;

    /// Removes a file; an absent one is fine.
    fn remove(&self, path: &str) -> Result<(), HostError>;

    /// Returns the texts of the files in a folder that root alone may write, or nothing if there
    /// is no such folder.
    fn read_folder(&self, path: &str) -> Result<Option<BTreeMap<String, String>>, HostError>;

    /// Returns whether a folder that root alone may write holds these files, byte for byte, and nothing
    /// else.
    fn holds(&self, path: &str, files: &BTreeMap<String, String>) -> Result<bool, HostError>;

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

    /// Copies the running program to `path`, unless it runs from there.
    fn copy_program(&self, path: &str) -> Result<(), HostError>;

    /// Returns what `iptables --version` prints.
    fn iptables_version(&self) -> Result<String, HostError>;

    /// Returns the rules that one variant of iptables keeps, as its own iptables-save prints them.
    fn save_variant(&self, variant: Variant, family: Family) -> Result<String, HostError>;

    /// Returns all tables of nftables, as `nft -j list ruleset` prints them; libnftables-json(5).
    fn nftables(&self) -> Result<String, HostError>;

    /// Returns the table `bridge tidegate` of nftables, as `nft -j list table` prints it; nothing where it
    /// is not there, or cannot be: no nft, or a kernel without nftables.
    fn bridge_table(&self) -> Result<Option<String>, HostError>;

    /// Asks the kernel whether it takes a text for `nft -f`, and changes nothing.
    fn nft_check(&self, text: &str) -> Result<(), HostError>;

    /// Loads a text with `nft -f`, whole or not at all.
    fn nft_load(&self, text: &str) -> Result<(), HostError>;

    /// Removes a table `inet` of nftables; an absent one is fine.
    fn remove_nft_table(&self, name: &str) -> Result<(), HostError>;

    /// Returns the queueing disciplines of all interfaces, as `tc -json qdisc` prints them; tc(8).
    fn queues(&self) -> Result<String, HostError>;

    /// Returns what the running containers may do to the machine, or nothing where no engine runs.
    fn powers(&self) -> Result<Option<Vec<ContainerPowers>>, HostError>;

    /// Returns who may use what a path leads to, or nothing if there is no such thing.
    fn access(&self, path: &str) -> Result<Option<Access>, HostError>;

    /// Runs systemctl(1), where systemd runs this machine and the host is more than its files.
    fn systemctl(&self, arguments: &[&str]) -> Result<(), HostError>;

    /// Returns properties of units as `systemctl show` prints them; nothing where systemd does not
    /// run this machine, or the host is no more than its files.
    fn units(&self, names: &[&str]) -> Result<Option<String>, HostError>;

    /// Returns the moment, which no clock that people set can move.
    fn moment(&self) -> Result<Moment, HostError>;

    /// Returns the time of day in seconds since 1970, UTC; for people to read alone.
    fn time_of_day(&self) -> u64;

    /// Has somebody look at `deadline` whether a bundle on trial was confirmed, whatever becomes of this
    /// process: `tidegate await-confirmation`.
    ///
    /// Errors: nobody will.
    fn arm(&self, deadline: &Moment) -> Result<(), HostError>;

    /// Lets those whom [`Host::arm`] called go, as far as that is needed.
    fn disarm(&self);
}
