//! A bundle in memory: files by name, of which the manifest is one.

use std::collections::BTreeMap;

use thiserror::Error;

use super::manifest::{FORMAT, MANIFEST, Manifest, RULES_V4, RULES_V6, SYSCTL};
use crate::hash::sha256;
use crate::netfilter::Family;

/// A bundle whose files match its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    manifest: Manifest,
    files: BTreeMap<String, String>,
    version: String,
}

/// What is wrong with a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BundleError {
    #[error("{} was changed: {MANIFEST} has another SHA-256 for it", .0.escape_debug())]
    Changed(String),
    #[error("{MANIFEST} cannot be read: {0}")]
    Manifest(String),
    #[error("{} is missing", .0.escape_debug())]
    Missing(String),
    #[error("{} is not named in {MANIFEST}", .0.escape_debug())]
    Stranger(String),
    #[error("{MANIFEST} has format {0}; this tidegate reads format {FORMAT}")]
    Format(u32),
}

impl Bundle {
    /// Makes a bundle of its files and a manifest whose `files` are filled in here.
    pub fn new(mut manifest: Manifest, mut files: BTreeMap<String, String>) -> Self {
        let hash = |(name, text): (&String, &String)| (name.clone(), sha256(text.as_bytes()));
        manifest.files = files.iter().map(hash).collect();
        let mut text = serde_json::to_string_pretty(&manifest)
            .unwrap_or_else(|error| unreachable!("a manifest has only string keys: {error}"));
        text.push('\n');
        let version = sha256(text.as_bytes());
        files.insert(MANIFEST.to_owned(), text);
        Bundle {
            manifest,
            files,
            version,
        }
    }

    /// Reads a bundle from the texts of its files, by name, and checks every hash.
    pub fn read(files: BTreeMap<String, String>) -> Result<Self, BundleError> {
        let missing = || BundleError::Missing(MANIFEST.to_owned());
        let text = files.get(MANIFEST).ok_or_else(missing)?;
        let version = sha256(text.as_bytes());
        let manifest = read_manifest(text)?;
        for (name, hash) in &manifest.files {
            let text = files
                .get(name)
                .ok_or_else(|| BundleError::Missing(name.clone()))?;
            if sha256(text.as_bytes()) != *hash {
                return Err(BundleError::Changed(name.clone()));
            }
        }
        for name in [RULES_V4, RULES_V6, SYSCTL] {
            if !manifest.files.contains_key(name) {
                return Err(BundleError::Missing(name.to_owned()));
            }
        }
        let known = |name: &&String| *name == MANIFEST || manifest.files.contains_key(*name);
        if let Some(stranger) = files.keys().find(|name| !known(name)) {
            return Err(BundleError::Stranger(stranger.clone()));
        }
        Ok(Bundle {
            manifest,
            files,
            version,
        })
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns all files by name, the manifest among them.
    pub fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// Returns the text of one file, or nothing where the bundle has no such file.
    pub fn file(&self, name: &str) -> &str {
        self.files.get(name).map_or("", String::as_str)
    }

    pub fn rules(&self, family: Family) -> &str {
        self.file(match family {
            Family::V4 => RULES_V4,
            Family::V6 => RULES_V6,
        })
    }

    /// Returns the policy's version: the manifest's SHA-256 in 64 hex digits.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the first 12 hex digits of the version, the form shown to people.
    pub fn short_version(&self) -> &str {
        self.version.get(..12).unwrap_or(&self.version)
    }
}

fn read_manifest(text: &str) -> Result<Manifest, BundleError> {
    #[derive(serde::Deserialize)]
    struct Head {
        format: u32,
    }
    let bad = |error: serde_json::Error| BundleError::Manifest(error.to_string());
    if has_control(text) {
        let why = "a text in it holds a line end or another control character";
        return Err(BundleError::Manifest(why.to_owned()));
    }
    let manifest: Result<Manifest, _> = serde_json::from_str(text);
    match manifest {
        Ok(manifest) if manifest.format == FORMAT => Ok(manifest),
        Ok(manifest) => Err(BundleError::Format(manifest.format)),
        // A manifest of another format may have fields that this version calls unknown.
        Err(error) => match serde_json::from_str(text) {
            Ok(Head { format }) if format != FORMAT => Err(BundleError::Format(format)),
            _ => Err(bad(error)),
        },
    }
}

/// Returns whether a text in JSON holds a control character, which only an escape can spell. No policy
/// puts one there; in a message it would begin a line that looks like one of ours.
fn has_control(json: &str) -> bool {
    let mut rest = json;
    while let Some((_, escape)) = rest.split_once('\\') {
        let Some(plain) = escape.strip_prefix(['"', '\\', '/']) else {
            return true;
        };
        rest = plain;
    }
    false
}
