//! The one table of nftables that is ours, by nft(8).

use super::{HostError, command};
use crate::netfilter::bridge::TABLE;

/// Lists it alone: an nft that stumbles over a table of others is not asked about those.
pub(super) fn bridge_table() -> Result<Option<String>, HostError> {
    match command::run("nft", &["-j", "list", "table", "bridge", TABLE], "") {
        Ok(table) => Ok(Some(table)),
        Err(HostError::NoCommand(_)) => Ok(None),
        Err(HostError::Command { stderr, .. }) if ABSENT.iter().any(|it| stderr.contains(it)) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What nft says where there is no such table, and where the kernel has no nftables.
const ABSENT: [&str; 2] = ["No such file or directory", "not supported"];
