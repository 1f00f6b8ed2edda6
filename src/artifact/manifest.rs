//! `manifest.json`: what the other files of a bundle mean.

use std::collections::BTreeMap;

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::netfilter::{Family, Place, Table};

/// The manifest's own format; it goes up whenever a field appears or changes its meaning.
pub const FORMAT: u32 = 4;
/// What closes frames that iptables does not see: [`crate::netfilter::bridge`].
pub const BRIDGE: &str = "bridge.nft";
pub const MANIFEST: &str = "manifest.json";
pub const MODULES: &str = "tidegate.modules";
/// Whom the rules are about: [`super::Parties`].
pub const PARTIES: &str = "parties.json";
pub const ROUTES: &str = "routes";
pub const RULES_V4: &str = "rules.v4";
pub const RULES_V6: &str = "rules.v6";
/// Where each rule comes from: [`super::Origins`].
pub const SOURCE_MAP: &str = "source-map.json";
pub const SYSCTL: &str = "90-tidegate.conf";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    /// Version of the tidegate that wrote the bundle.
    pub tidegate: String,
    /// Main policy file.
    pub policy: String,
    pub host: Option<String>,
    /// `docker`, `docker VERSION` or either with `nftables` behind it.
    pub engine: String,
    /// What the engine's daemon.json must say for the policy to be true; empty for most engines.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub daemon: BTreeMap<String, Value>,
    /// The bit of the packet mark that carries a grant, as in `0x10000000`.
    pub mark: String,
    /// SHA-256 of every other file of the bundle, by name.
    pub files: BTreeMap<String, String>,
    pub hooks: Vec<HookEntry>,
    /// FORWARD's policy where the policy names one.
    pub forward: Option<ForwardEntry>,
    pub sysctls: Vec<SysctlEntry>,
    pub modules: Vec<String>,
    pub routes: Vec<RouteEntry>,
}

/// A jump from a chain that is not ours to one that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookEntry {
    pub family: Family,
    pub table: Table,
    pub chain: String,
    pub target: String,
    pub place: Place,
    /// What it is for, in the policy's words.
    pub says: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardEntry {
    /// `ACCEPT` or `DROP`.
    pub policy: String,
    /// `file:line`.
    pub source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SysctlEntry {
    /// As in sysctl.d: with `.` between parts, or `/` where a part holds a dot.
    pub key: String,
    pub value: String,
    /// `file:line`.
    pub source: String,
}

/// A route to another host's containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteEntry {
    pub prefix: IpNet,
    pub via: IpAddr,
    pub device: Option<String>,
    /// `file:line`.
    pub source: String,
}
