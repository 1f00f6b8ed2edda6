//! The one table of nftables that is ours, by nft(8).

use super::{HostError, command};
use crate::netfilter::bridge::TABLE;

/// Lists it alone: an nft that stumbles over a table of others is not asked about those.
pub(super) fn bridge_table() -> Result<Option<String>, HostError> {
    match command::run("nft", &["-j", "list", "table", "bridge", TABLE], "") {
        Ok(table) => Ok(Some(table)),
        Err(HostError::NoCommand(_)) => Ok(None),
        Err(HostError::Command { stderr, .. }) if is_absent(&stderr) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells whether nft's own answer is that there is no such table, or no nftables in this kernel. A program
/// that did not start may speak of files, too.
fn is_absent(stderr: &str) -> bool {
    let no_table = stderr.starts_with("Error: ") && stderr.contains("No such file or directory");
    no_table || stderr.contains("not supported")
}

#[cfg(test)]
mod tests {
    use super::is_absent;

    #[test]
    fn a_program_that_did_not_start_says_nothing_of_tables() {
        assert!(is_absent(
            "Error: No such file or directory\nlist table bridge tidegate\n"
        ));
        assert!(is_absent(
            "Error: Could not process rule: Operation not supported"
        ));
        let linker = "nft: error while loading shared libraries: libnftables.so.1: cannot open \
                      shared object file: No such file or directory";
        assert!(!is_absent(linker));
    }
}
