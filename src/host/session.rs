//! The ssh session that a command is called in.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where a process is asked for its environment"
)]

use std::fs;
use std::net::IpAddr;

use super::conntrack::Ends;

/// Its variable in the environment, ssh(1): the client's address and port, then the server's.
const VARIABLE: &str = "SSH_CONNECTION";
/// IANA's number of TCP.
const TCP: u8 = 6;
/// More ancestors than that no shell has.
const ANCESTORS: usize = 64;

/// Returns the ends of the ssh session that this process was called in, by its own environment or that of
/// the nearest ancestor that has one: sudo(8) hands the variable to nobody.
pub fn ssh_session() -> Option<Ends> {
    let mut process = std::process::id();
    for _ in 0..ANCESTORS {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        if let Some(ends) = session(&environment) {
            return Some(ends);
        }
        process = parent(process)?;
    }
    None
}

/// Reads it from an environment as `proc_pid_environ(5)` has it.
fn session(environment: &[u8]) -> Option<Ends> {
    let mut all = environment.split(|byte| *byte == 0);
    let value = all.find_map(|entry| {
        let entry = std::str::from_utf8(entry).ok()?;
        entry.strip_prefix(VARIABLE)?.strip_prefix('=')
    })?;
    let words: Vec<&str> = value.split(' ').collect();
    let [client, source_port, server, port] = words.as_slice() else {
        return None;
    };
    // A link-local address has its zone, RFC 4007.
    let address = |text: &str| {
        let bare = text.split_once('%').map_or(text, |(bare, _)| bare);
        bare.parse::<IpAddr>().ok().map(|it| it.to_canonical())
    };
    Some(Ends {
        source: address(client)?,
        destination: address(server)?,
        protocol: TCP,
        source_port: source_port.parse().ok()?,
        port: port.parse().ok()?,
        icmp: (0, 0),
    })
}

/// Returns a process's parent, of `proc_pid_status(5)`; the first process has none.
fn parent(process: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let mut lines = status.lines();
    let parent = lines.find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok().filter(|parent| *parent > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_of_an_environment() {
        let read = |text: &str| session(text.as_bytes()).map(|it| (it.source, it.port));
        let known = "HOME=/root\0SSH_CONNECTION=192.0.2.10 50000 192.0.2.1 22\0LANG=C\0";
        assert_eq!(read(known), Some(([192, 0, 2, 10].into(), 22)));
        let mapped = "SSH_CONNECTION=::ffff:192.0.2.10 50000 ::ffff:192.0.2.1 22\0";
        assert_eq!(read(mapped), Some(([192, 0, 2, 10].into(), 22)));
        let local = "SSH_CONNECTION=fe80::1%eth0 50000 fe80::2%eth0 22\0";
        assert_eq!(read(local), Some(("fe80::1".parse().unwrap(), 22)));
        for other in [
            "",
            "SSH_CONNECTION=\0",
            "SSH_CONNECTION=UNKNOWN 65535 UNKNOWN 65535\0",
            "XSSH_CONNECTION=192.0.2.10 50000 192.0.2.1 22\0",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
