//! Names of chains.

use std::fmt;

use super::bounds::NAME;
use crate::hash::sha256;

/// A chain name of at most [`NAME`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainName(String);

/// Hex digits that stand for the part of a long name that was cut.
const DIGITS: usize = 8;
/// What names of sets begin with. No network's does: a `~` stands behind more of a name.
const SET: &str = "TIDE-set~";

/// Returns true for the name of a chain that a long list became, of which there may be thousands.
pub(crate) fn is_of_tree(name: &str) -> bool {
    name.contains('.') || name.starts_with(SET)
}

impl ChainName {
    /// Returns one of the fixed chains: `TIDE-GATE`, `TIDE-PASS`, ….
    pub(super) fn fixed(part: &str) -> Self {
        ChainName(format!("TIDE-{part}"))
    }

    /// Returns the chain for one part of a network: `TIDE-shop-in`. Long network names are cut and
    /// keep a hash of the whole, the same one every time.
    pub(crate) fn of_network(network: &str, part: &str) -> Self {
        let room = NAME.saturating_sub("TIDE--".len() + part.len());
        if network.len() <= room {
            return ChainName(format!("TIDE-{network}-{part}"));
        }
        let hash = sha256(network.as_bytes());
        let kept = network.get(..room.saturating_sub(DIGITS + 1)).unwrap_or("");
        ChainName(format!(
            "TIDE-{kept}~{}-{part}",
            hash.get(..DIGITS).unwrap_or("")
        ))
    }

    /// Returns the chain of a set of prefixes, named after what it holds.
    pub(super) fn of_set(hash: &str) -> Self {
        ChainName(format!("{SET}{hash}"))
    }

    /// Returns a chain that belongs to this one: `TIDE-shop-in.12`. No network's or container's chain
    /// ends so. Long names are cut as [`ChainName::of_network`] cuts them.
    pub(super) fn below(&self, part: &str) -> Self {
        let room = NAME.saturating_sub(part.len() + 1);
        if self.0.len() <= room {
            return ChainName(format!("{}.{part}", self.0));
        }
        let hash = sha256(self.0.as_bytes());
        let kept = self.0.get(..room.saturating_sub(DIGITS + 1)).unwrap_or("");
        ChainName(format!(
            "{kept}~{}.{part}",
            hash.get(..DIGITS).unwrap_or("")
        ))
    }

    pub(super) fn is_of_tree(&self) -> bool {
        is_of_tree(&self.0)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_28_bytes_and_stay_apart() {
        let long = "a-network-with-a-very-long-name";
        let one = ChainName::of_network(&format!("{long}1"), "peer");
        let two = ChainName::of_network(&format!("{long}2"), "peer");
        assert_eq!(one.as_str().len(), NAME);
        assert_ne!(one, two);
        assert_eq!(one, ChainName::of_network(&format!("{long}1"), "peer"));
    }

    #[test]
    fn short_names_stay_as_written() {
        assert_eq!(ChainName::of_network("shop", "in").as_str(), "TIDE-shop-in");
    }
}
