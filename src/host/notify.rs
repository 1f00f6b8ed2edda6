//! Tells systemd how far a service is; `NOTIFY_SOCKET` in `sd_notify(3)`.
#![expect(clippy::disallowed_methods, reason = "this is where systemd is told")]

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    Ready,
    Stopping,
}

/// Sends a notice where systemd waits for one; that it does not arrive changes nothing here.
pub fn notify(notice: Notice) {
    let Some(name) = env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let text: &[u8] = match notice {
        Notice::Ready => b"READY=1",
        Notice::Stopping => b"STOPPING=1",
    };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&name),
    };
    let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(text, &address?));
    drop(sent);
}
