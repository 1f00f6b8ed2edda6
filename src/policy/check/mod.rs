//! Checks that need the whole policy.

pub(super) mod addresses;
pub(super) mod host_ports;
pub(super) mod no_engine;
pub(super) mod offers;
