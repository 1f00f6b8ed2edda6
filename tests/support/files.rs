//! Policies from memory and from the repository.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tidegate::policy::{LoadError, Loader};

/// Files of a policy in memory.
pub struct Files(pub BTreeMap<String, String>);

impl Files {
    /// Makes a policy of one file, `policy.tide`.
    pub fn one(text: &str) -> Self {
        Files(BTreeMap::from([(
            "policy.tide".to_owned(),
            text.to_owned(),
        )]))
    }
}

impl Loader for Files {
    fn load(&self, name: &str) -> Result<String, LoadError> {
        self.0.get(name).cloned().ok_or(LoadError::Missing)
    }
}

/// Files of a policy in a folder.
pub struct Folder(pub PathBuf);

impl Loader for Folder {
    fn load(&self, name: &str) -> Result<String, LoadError> {
        std::fs::read_to_string(self.0.join(name)).map_err(|e| LoadError::Other(e.to_string()))
    }
}

/// Returns the root of the repository.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
