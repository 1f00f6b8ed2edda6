//! firewalld, as far as it must be done with the rules before ours go in.

use std::path::Path;
use std::time::Duration;

use super::command::run_within;

/// Where the system's bus listens, as `org.freedesktop.DBus` has it on every distribution.
const BUS: &str = "/run/dbus/system_bus_socket";

/// A property that every firewalld has, firewalld.dbus(5).
const STATE: [&str; 6] = [
    "--auto-start=no",
    "get-property",
    "org.fedoraproject.FirewallD1",
    "/org/fedoraproject/FirewallD1",
    "org.fedoraproject.FirewallD1",
    "state",
];

/// Its start takes a second or two; one that hangs must not keep a boot from its rules.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a firewalld that is starting has emptied and filled its tables.
///
/// systemd takes it for started once its name is on the bus, and it empties the tables after that: rules
/// of ours that were loaded in between would be gone. It answers questions only when it is through.
/// Where there is no firewalld, nobody answers, at once.
pub fn await_firewalld() {
    if Path::new(BUS).exists() {
        // Whatever is wrong with it or the bus, the rules are the better for being loaded now.
        let _ = run_within(PATIENCE, &|| (), "busctl", &STATE, "");
    }
}
