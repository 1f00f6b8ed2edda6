//! Kernel settings: where one is kept, when two values are the same, and which ones wait.

use thiserror::Error;

use crate::artifact::SysctlEntry;

/// A setting's key that leads nowhere under /proc/sys.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not the name of a kernel setting")]
pub struct KeyError(pub String);

/// Returns the path under /proc/sys of a key as sysctl.d(5) spells it.
///
/// After a first `.`, dots part and slashes are dots of a name (`net.ipv4.conf.eth0/1.forwarding`);
/// after a first `/`, slashes part and dots stay.
pub fn path(key: &str) -> Result<String, KeyError> {
    let swap = |character| match character {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    let path: String = match key.find(['.', '/']) {
        Some(at) if key.as_bytes().get(at) == Some(&b'.') => key.chars().map(swap).collect(),
        _ => key.to_owned(),
    };
    let fits = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    if path.split('/').all(fits) {
        Ok(path)
    } else {
        Err(KeyError(key.to_owned()))
    }
}

/// Returns whether two values are the same but for the blanks between their parts: the kernel
/// prints a tab where people write a space.
pub fn same(left: &str, right: &str) -> bool {
    left.split_ascii_whitespace()
        .eq(right.split_ascii_whitespace())
}

/// Returns whether a setting is one of IPv6, and so absent from a kernel without it.
pub fn is_ipv6(path: &str) -> bool {
    path.starts_with("net/ipv6/") || path == "net/bridge/bridge-nf-call-ip6tables"
}

/// Returns the interface a setting belongs to, as in `net/ipv4/conf/br-shop/rp_filter`.
///
/// Such a setting is there only while its interface is; udev sets it from sysctl.d when the
/// interface appears (systemd's 99-systemd.rules).
pub fn interface(path: &str) -> Option<&str> {
    let rest = path
        .strip_prefix("net/ipv4/")
        .or_else(|| path.strip_prefix("net/ipv6/"))?;
    let rest = rest
        .strip_prefix("conf/")
        .or_else(|| rest.strip_prefix("neigh/"))?;
    let (name, _) = rest.split_once('/')?;
    (!matches!(name, "all" | "default")).then_some(name)
}

/// A setting that the machine has to have, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub key: String,
    pub path: String,
    pub value: String,
    /// `file:line`.
    pub source: String,
}

impl Setting {
    pub fn new(entry: &SysctlEntry) -> Result<Self, KeyError> {
        Ok(Setting {
            key: entry.key.clone(),
            path: path(&entry.key)?,
            value: entry.value.clone(),
            source: entry.source.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_says_what_the_others_mean() {
        let path = |key| path(key).unwrap();
        assert_eq!(
            path("net.ipv4.conf.all.forwarding"),
            "net/ipv4/conf/all/forwarding"
        );
        assert_eq!(
            path("net.ipv4.conf.eth0/1.rp_filter"),
            "net/ipv4/conf/eth0.1/rp_filter"
        );
        assert_eq!(
            path("net/ipv4/conf/eth0.1/rp_filter"),
            "net/ipv4/conf/eth0.1/rp_filter"
        );
    }

    #[test]
    fn a_key_cannot_lead_out_of_proc_sys() {
        for key in [
            "",
            "../kernel",
            "net/../../x",
            "/etc/passwd",
            "net..x",
            "net.//.x",
        ] {
            assert!(path(key).is_err(), "{key}");
        }
    }

    #[test]
    fn blanks_between_values_do_not_matter() {
        assert!(same("4096\t87380\t6291456\n", "4096 87380 6291456"));
        assert!(!same("1", "11"));
    }

    #[test]
    fn interfaces_are_known_by_their_settings() {
        assert_eq!(
            interface("net/ipv4/conf/br-shop/rp_filter"),
            Some("br-shop")
        );
        assert_eq!(
            interface("net/ipv6/neigh/eth0.1/retrans_time"),
            Some("eth0.1")
        );
        assert_eq!(interface("net/ipv4/conf/all/rp_filter"), None);
        assert_eq!(interface("net/ipv4/ip_forward"), None);
    }
}
