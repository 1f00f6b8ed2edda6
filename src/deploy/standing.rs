//! How a kernel setting stands on a machine, beside what a bundle asks.

use super::error::Problem;
use super::settings::{self, Setting};
use crate::host::Host;

/// How a setting stands on a machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SettingStatus {
    Absent,
    /// It has another value that does what is asked, and why that is so.
    Better(String),
    /// It is one of IPv6, which this kernel has not.
    Skipped,
    Value(String),
    /// Its interface is not there yet.
    Waits(String),
}

/// Returns how a setting stands.
pub(super) fn status(host: &dyn Host, setting: &Setting) -> Result<SettingStatus, Problem> {
    let path = &setting.path;
    if settings::is_ipv6(path) && !host.has_ipv6() {
        return Ok(SettingStatus::Skipped);
    }
    if let Some(value) = host.sysctl(path)? {
        let better = better(host, setting, &value)?;
        return Ok(better.map_or(SettingStatus::Value(value), SettingStatus::Better));
    }
    // Every interface has this one; where it is there, the interface is, and the key is wrong.
    let there = |name| host.sysctl(&format!("net/ipv4/conf/{name}/forwarding"));
    match settings::interface(path) {
        Some(name) if there(name)?.is_none() => Ok(SettingStatus::Waits(name.to_owned())),
        _ => Ok(SettingStatus::Absent),
    }
}

/// Returns why a value is left alone although it is not the one wanted: sources are checked loosely
/// already, by way of `all`, of which the greater value counts (the kernel's ip-sysctl.rst).
fn better(host: &dyn Host, setting: &Setting, value: &str) -> Result<Option<String>, Problem> {
    let checks_sources =
        setting.path.starts_with("net/ipv4/conf/") && setting.path.ends_with("/rp_filter");
    if !checks_sources || settings::same(value, &setting.value) {
        return Ok(None);
    }
    let all = host.sysctl("net/ipv4/conf/all/rp_filter")?;
    let loose = all.is_some_and(|all| settings::same(&all, "2"));
    Ok((loose && setting.value == "2").then(|| {
        format!(
            "{} stays {}: net.ipv4.conf.all.rp_filter is 2 already",
            setting.key,
            value.trim_end()
        )
    }))
}
