//! Settings of Docker's daemon, where it is told them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settings of an engine; none where it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineSettings {
    /// As in `28.5.2`.
    pub version: String,
    /// It writes its rules with nftables.
    #[serde(default)]
    pub nftables: bool,
    /// `userland-proxy`: a process takes what comes to a published port and is not translated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<bool>,
    /// `iptables`: it writes rules at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iptables: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip6tables: Option<bool>,
    /// Its containers go on without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_restore: Option<bool>,
}

impl EngineSettings {
    /// Tells whether it leaves IPv6 to others: before Docker 27, `ip6tables` was off unless somebody wrote it.
    pub fn leaves_ipv6(&self) -> bool {
        let major = self.version.split('.').next();
        let major = major.and_then(|text| text.parse::<u32>().ok());
        let default = major.is_some_and(|major| major < 27);
        self.ip6tables.map_or(default, |it| !it)
    }
}

/// The daemon's own settings: its command line, then its daemon.json.
#[derive(Debug, Clone, Copy)]
pub struct Daemon<'a> {
    /// Words behind the program's name.
    pub options: &'a [String],
    /// Of daemon.json; nothing where there is none, or it cannot be read: Docker would not start.
    pub file: &'a Value,
}

impl Daemon<'_> {
    /// Returns a setting's text; the command line and the file cannot both have it.
    pub fn setting(&self, key: &str) -> Option<String> {
        let flag = format!("--{key}");
        let next = self.options.iter().skip(1).map(Some).chain([None]);
        let mut words = self.options.iter().zip(next);
        let given = words.find_map(|(word, next)| match word.strip_prefix(&flag)? {
            "" => {
                let value = next.filter(|next| !next.starts_with('-'));
                Some(value.map_or_else(|| "true".to_owned(), Clone::clone))
            }
            rest => rest.strip_prefix('=').map(str::to_owned),
        });
        given.or_else(|| match self.file.get(key)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        })
    }

    /// Returns a setting that is true or false.
    pub fn switch(&self, key: &str) -> Option<bool> {
        self.setting(key)?.parse().ok()
    }
}
