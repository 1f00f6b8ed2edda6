//! The arguments of the commands that look at a machine or change it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{DriftFormat, Format, TableFormat};
use crate::host::Variant;

/// Put a bundle in force, and keep it for the next boot
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Folder that `tidegate compile` wrote, or a policy to compile first
    #[arg(value_name = "BUNDLE|POLICY", required_unless_present = "boot")]
    pub what: Option<PathBuf>,

    /// Compile for the host of this name; a policy with several hosts needs it
    #[arg(long = "host", value_name = "NAME")]
    pub host_name: Option<String>,

    /// File with addresses for containers to which the policy gives none; see `tidegate inventory`
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,

    /// Put the installed bundle in force; whatever fails, keep what could be loaded
    #[arg(long, conflicts_with = "what")]
    pub boot: bool,

    /// Go back by itself unless `tidegate confirm` comes within this time, as in 60s or 2m
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "boot")]
    pub confirm: Option<Duration>,

    /// Apply although this network, which the policy in force closes, is no longer named; may be repeated
    #[arg(long, value_name = "NETWORK", conflicts_with = "boot")]
    pub forget: Vec<String>,

    /// Leave connections that the new rules would not let begin
    #[arg(long)]
    pub keep_connections: bool,

    #[command(flatten)]
    pub host: HostArgs,
}

/// The longest time that a confirmation is waited for.
const DAY: u64 = 24 * 60 * 60;

/// Reads `90`, `90s`, `2m` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 60 * 60,
        _ => return Err("it ends in s, m or h, or in no letter for seconds".to_owned()),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.parse::<u64>().ok().filter(|_| is_number);
    let seconds = seconds.and_then(|count| count.checked_mul(unit));
    match seconds.filter(|seconds| (1..=DAY).contains(seconds)) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err("it is a whole number, of one second to one day".to_owned()),
    }
}

/// Wait for a time, then go back unless the bundle on trial was confirmed
#[derive(Debug, Args)]
pub struct AwaitArgs {
    /// Milliseconds since the machine started
    #[arg(long)]
    pub until: u64,

    /// Leave the session of whoever called
    #[arg(long)]
    pub detach: bool,

    #[command(flatten)]
    pub host: HostArgs,
}

/// Keep the bundle that `tidegate apply --confirm` put in force
#[derive(Debug, Args)]
pub struct ConfirmArgs {
    #[command(flatten)]
    pub host: HostArgs,
}

/// Go back to the bundle before
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// First digits of another version; see `tidegate status`
    pub version: Option<String>,

    /// Leave connections that the rules would not let begin
    #[arg(long)]
    pub keep_connections: bool,

    #[command(flatten)]
    pub host: HostArgs,
}

/// Tell which bundle is in force, whether it is confirmed, and what the next boot brings
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    #[command(flatten)]
    pub host: HostArgs,
}

/// Tell what on this machine can undo the policy, and what to do about it; exit status 1 where anything can
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    #[command(flatten)]
    pub host: HostArgs,
}

/// Tell how this machine differs from its installed bundle
#[derive(Debug, Args)]
pub struct DriftArgs {
    /// Put the installed bundle in force again if anything differs
    #[arg(long)]
    pub repair: bool,

    #[arg(long, value_enum, default_value_t)]
    pub format: DriftFormat,

    /// Replace FILE with what the format says, whole or not at all, and print the text for people
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub host: HostArgs,
}

/// Install the program, its systemd units and a bundle for the next boot
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// Folder that `tidegate compile` wrote, or a policy to compile first
    #[arg(value_name = "BUNDLE|POLICY")]
    pub what: PathBuf,

    /// Compile for the host of this name; a policy with several hosts needs it
    #[arg(long = "host", value_name = "NAME")]
    pub host_name: Option<String>,

    /// File with addresses for containers to which the policy gives none; see `tidegate inventory`
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,

    /// Start `tidegate watch` at boot; the policy must be in /etc/tidegate
    #[arg(long, conflicts_with_all = ["inventory", "host_name"])]
    pub watch: bool,

    /// Install although this network, which the policy in force closes, is no longer named; may be repeated
    #[arg(long, value_name = "NETWORK")]
    pub forget: Vec<String>,

    /// Have the timer tell every minute what differs, and change nothing; without it, it mends that, too
    #[arg(long)]
    pub report_only: bool,

    #[command(flatten)]
    pub host: HostArgs,
}

/// Print what the engine knows of its networks and running containers, for `--inventory`
#[derive(Debug, Args)]
pub struct InventoryArgs {
    /// Where the engine listens
    #[arg(long, value_name = "PATH", default_value = crate::host::SOCKET)]
    pub socket: PathBuf,

    /// File to write instead
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Tell what `apply` would do: who could reach what, and what would change for it; exit status 2 where
/// anything would, 1 where `apply` would refuse
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Folder that `tidegate compile` wrote, or a policy to compile first
    #[arg(value_name = "BUNDLE|POLICY")]
    pub what: PathBuf,

    /// Compile for the host of this name; a policy with several hosts needs it
    #[arg(long = "host", value_name = "NAME")]
    pub host_name: Option<String>,

    /// File with addresses for containers to which the policy gives none; see `tidegate inventory`
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,

    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,

    #[command(flatten)]
    pub host: HostArgs,
}

/// Remove the rules, the units and everything else that tidegate has written
#[derive(Debug, Args)]
pub struct UninstallArgs {
    /// Take the rules and settings out of force and stop the units, but keep the bundle, and start it
    /// at the next boot again
    #[arg(long)]
    pub keep_bundle: bool,

    #[command(flatten)]
    pub host: HostArgs,
}

/// Keep a policy in force while containers come and go with addresses of the engine's choice
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Main file of the policy
    pub policy: PathBuf,

    /// Compile for the host of this name; a policy with several hosts needs it
    #[arg(long = "host", value_name = "NAME")]
    pub host_name: Option<String>,

    /// Where the engine listens
    #[arg(long, value_name = "PATH", default_value = crate::host::SOCKET)]
    pub socket: PathBuf,

    #[command(flatten)]
    pub host: HostArgs,
}

// No doc comment: clap would take it for that of the command which this is part of.
#[derive(Debug, Args)]
pub struct HostArgs {
    /// Look for files under DIR; rules and kernel settings are always the running machine's
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,

    /// Which iptables to use; it must be the one that Docker uses
    #[arg(long, value_enum, default_value_t)]
    pub iptables: Iptables,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Iptables {
    /// What the command `iptables` is
    #[default]
    Auto,
    Legacy,
    Nft,
}

impl From<Iptables> for Variant {
    fn from(iptables: Iptables) -> Self {
        match iptables {
            Iptables::Auto => Variant::Auto,
            Iptables::Legacy => Variant::Legacy,
            Iptables::Nft => Variant::Nft,
        }
    }
}
