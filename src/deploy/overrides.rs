//! Files of sysctl.d(5) that would undo a setting of ours the next time all of them are read.

use std::collections::BTreeMap;

use super::error::Problem;
use super::settings::{self, Setting};
use super::store::SYSCTL_D;
use crate::artifact::SysctlEntry;
use crate::host::Host;

/// Where systemd-sysctl(8) and `sysctl --system` look; of two files of one name the first counts.
const FOLDERS: [&str; 5] = [
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
];
/// Read last of all by sysctl(8).
const LAST: &str = "/etc/sysctl.conf";
/// Says whether ufw is enabled, ufw(8).
const UFW: &str = "/etc/ufw/ufw.conf";
/// Set by ufw each time that it starts, if it is enabled.
const UFW_SYSCTL: &str = "/etc/ufw/sysctl.conf";

/// Returns a note for each setting that a later file sets to something else.
pub fn overridden(host: &dyn Host, entries: &[SysctlEntry]) -> Result<Vec<String>, Problem> {
    let later = later_files(host)?;
    let mut notes = Vec::new();
    for entry in entries {
        let setting = Setting::new(entry)?;
        let found = later.iter().rev().find_map(|(file, text)| {
            let (line, value) = last_value(text, &setting.path)?;
            Some((file, line, value))
        });
        if let Some((file, line, value)) =
            found.filter(|(_, _, value)| !settings::same(value, &setting.value))
        {
            notes.push(format!(
                "{}: {file}:{line} sets {} = {value} after ours, and undoes it whenever all \
                 settings are read again; take that line out",
                setting.source, setting.key
            ));
        }
    }
    Ok(notes)
}

/// Returns the files that are read after ours, in the order in which they are read, with their texts.
fn later_files(host: &dyn Host) -> Result<Vec<(String, String)>, Problem> {
    let ours = SYSCTL_D.rsplit('/').next().unwrap_or_default();
    let mut by_name: BTreeMap<String, String> = BTreeMap::new();
    for folder in FOLDERS {
        for name in host.names(folder)? {
            if name.strip_suffix(".conf").is_some() && name.as_str() > ours {
                by_name
                    .entry(name.clone())
                    .or_insert_with(|| format!("{folder}/{name}"));
            }
        }
    }
    let mut files = Vec::new();
    let ufw = host.read_linked(UFW)?.unwrap_or_default();
    let ufw = ufw.lines().any(|line| line.trim() == "ENABLED=yes");
    let last = [LAST].into_iter().chain(ufw.then_some(UFW_SYSCTL));
    for path in by_name.into_values().chain(last.map(str::to_owned)) {
        if let Some(text) = host.read_linked(&path)? {
            files.push((path, text));
        }
    }
    Ok(files)
}

/// Returns the last value that a file gives a setting, and its line. A pattern does not count: it
/// leaves alone what any file names in full.
fn last_value<'t>(text: &'t str, path: &str) -> Option<(usize, &'t str)> {
    let lines = text.lines().zip(1..);
    let values = lines.filter_map(|(line, number)| {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            return None;
        }
        let (key, value) = line.split_once('=')?;
        let key = key.trim().trim_start_matches('-').trim_start();
        let named = settings::path(key).ok()?;
        (canonical(&named) == canonical(path)).then_some((number, value.trim()))
    });
    values.last()
}

/// `net.ipv4.ip_forward` and `net.ipv4.conf.all.forwarding` are one setting (the kernel's
/// ip-sysctl.rst).
fn canonical(path: &str) -> &str {
    match path {
        "net/ipv4/ip_forward" => "net/ipv4/conf/all/forwarding",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::last_value;

    #[test]
    fn the_last_line_of_a_key_counts_however_it_is_spelt() {
        let text = "# net.ipv4.ip_forward = 7\n; net.ipv4.ip_forward = 8\n\
                    net.ipv4.ip_forward=1\nnet/ipv4/conf/all/forwarding = 2\n\
                    -net.ipv4.conf.all.forwarding =  0 \nnet.ipv4.conf.*.forwarding = 5\nnonsense\n";
        let found = last_value(text, "net/ipv4/conf/all/forwarding");
        assert_eq!(found, Some((5, "0")));
        assert_eq!(last_value(text, "net/ipv6/conf/all/forwarding"), None);
        assert_eq!(last_value("=\n= 1\n...=2\n", "net/x"), None);
    }
}
