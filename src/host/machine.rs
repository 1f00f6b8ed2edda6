//! What a machine knows of itself.
#![expect(
    clippy::disallowed_methods,
    reason = "sockets are those of the calling thread's network"
)]

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::error::io_error;
use super::{Host, HostError};
use crate::facts::{MachineFacts, Printed};
use crate::netfilter::Family;

pub(super) fn facts(host: &dyn Host) -> Result<MachineFacts, HostError> {
    let six = host.has_ipv6();
    let addresses = host.addresses()?;
    let v4 = host.routes(Family::V4)?;
    let v6 = if six {
        host.routes(Family::V6)?
    } else {
        String::new()
    };
    let [tcp, tcp6, udp, udp6] = ["tcp", "tcp6", "udp", "udp6"].map(sockets);
    let printed = Printed {
        addresses: &addresses,
        routes: [(Family::V4, &v4), (Family::V6, &v6)],
        sockets: [
            ("tcp", &tcp?),
            ("tcp6", &tcp6?),
            ("udp", &udp?),
            ("udp6", &udp6?),
        ],
    };
    MachineFacts::read(&printed).map_err(|error| HostError::Unread {
        what: "interfaces and routes",
        error,
    })
}

/// Returns a table of sockets; nothing where the kernel has no such protocol.
fn sockets(name: &str) -> Result<String, HostError> {
    let path = Path::new("/proc/thread-self/net").join(name);
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(io_error("read", &path)),
    }
}
