//! A bundle in memory: files by name, of which the manifest is one.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use thiserror::Error;

use super::manifest::{
    FORMAT, MANIFEST, Manifest, PARTIES, RULES_V4, RULES_V6, SOURCE_MAP, SYSCTL,
};
use super::{Origins, Parties};
use crate::hash::sha256;
use crate::netfilter::Family;

/// A bundle whose files match its manifest.
#[derive(Debug, Clone)]
pub struct Bundle {
    manifest: Manifest,
    files: BTreeMap<String, String>,
    version: String,
    /// Both are read when somebody asks for them: rules are loaded and compared without.
    parties: OnceLock<Result<Parties, BundleError>>,
    origins: OnceLock<Result<Origins, BundleError>>,
}

impl PartialEq for Bundle {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

impl Eq for Bundle {}

/// What is wrong with a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BundleError {
    #[error("{} was changed: {MANIFEST} has another SHA-256 for it", .0.escape_debug())]
    Changed(String),
    #[error("{file} cannot be read: {why}")]
    Unread { file: &'static str, why: String },
    #[error("{} is missing", .0.escape_debug())]
    Missing(String),
    #[error("{} is not named in {MANIFEST}", .0.escape_debug())]
    Stranger(String),
    #[error("{MANIFEST} has format {0}; this tidegate reads format {FORMAT}")]
    Format(u32),
}

impl Bundle {
    /// Makes a bundle of its rules and settings, what they mean, and a manifest whose `files` are filled
    /// in here.
    pub fn new(
        mut manifest: Manifest,
        parties: Parties,
        origins: Origins,
        mut files: BTreeMap<String, String>,
    ) -> Self {
        files.insert(PARTIES.to_owned(), parties.text());
        files.insert(SOURCE_MAP.to_owned(), origins.text());
        let hash = |(name, text): (&String, &String)| (name.clone(), sha256(text.as_bytes()));
        manifest.files = files.iter().map(hash).collect();
        let text = pretty(&manifest);
        let version = sha256(text.as_bytes());
        files.insert(MANIFEST.to_owned(), text);
        Bundle {
            manifest,
            files,
            version,
            parties: OnceLock::from(Ok(parties)),
            origins: OnceLock::from(Ok(origins)),
        }
    }

    /// Reads a bundle from the texts of its files, by name, and checks every hash.
    ///
    /// Whether [`Bundle::parties`] and [`Bundle::origins`] can be read is found out when they are.
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
        for name in [PARTIES, RULES_V4, RULES_V6, SOURCE_MAP, SYSCTL] {
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
            parties: OnceLock::new(),
            origins: OnceLock::new(),
        })
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns whom the rules are about.
    pub fn parties(&self) -> Result<&Parties, BundleError> {
        let parties = || read_json(PARTIES, self.file(PARTIES));
        self.parties
            .get_or_init(parties)
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Returns where the rules come from.
    pub fn origins(&self) -> Result<&Origins, BundleError> {
        let origins = || {
            let text = self.file(SOURCE_MAP);
            check_controls(SOURCE_MAP, text)?;
            Origins::read(text).map_err(unread(SOURCE_MAP))
        };
        self.origins
            .get_or_init(origins)
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Checks that all of it can be read, also what few ask for.
    pub fn check(&self) -> Result<(), BundleError> {
        self.parties()?;
        self.origins().map(drop)
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

/// Returns each family's rules of a bundle of another format, if it is as that other tidegate compiled
/// it: by then as now, `files` of the manifest has a SHA-256 for every other file.
pub fn rules_of_another_format(files: &BTreeMap<String, String>) -> Option<[(Family, &str); 2]> {
    #[derive(serde::Deserialize)]
    struct Hashes {
        files: BTreeMap<String, String>,
    }
    let hashes: Hashes = serde_json::from_str(files.get(MANIFEST)?).ok()?;
    let others = files.iter().filter(|(name, _)| *name != MANIFEST);
    let found = others.map(|(name, text)| (name.clone(), sha256(text.as_bytes())));
    let rules = |name| files.get(name).map(String::as_str);
    let both = [
        (Family::V4, rules(RULES_V4)?),
        (Family::V6, rules(RULES_V6)?),
    ];
    found.eq(hashes.files).then_some(both)
}

fn pretty(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string_pretty(value)
        .unwrap_or_else(|error| unreachable!("all keys are strings: {error}"));
    text + "\n"
}

fn unread(file: &'static str) -> impl Fn(String) -> BundleError {
    move |why| BundleError::Unread { file, why }
}

fn check_controls(file: &'static str, text: &str) -> Result<(), BundleError> {
    if has_control(text) {
        let why = "a text in it holds a line end or another control character";
        return Err(unread(file)(why.to_owned()));
    }
    Ok(())
}

fn read_json<T: DeserializeOwned>(file: &'static str, text: &str) -> Result<T, BundleError> {
    check_controls(file, text)?;
    serde_json::from_str(text).map_err(|error| unread(file)(error.to_string()))
}

fn read_manifest(text: &str) -> Result<Manifest, BundleError> {
    #[derive(serde::Deserialize)]
    struct Head {
        format: u32,
    }
    match read_json::<Manifest>(MANIFEST, text) {
        Ok(manifest) if manifest.format == FORMAT => Ok(manifest),
        Ok(manifest) => Err(BundleError::Format(manifest.format)),
        // A manifest of another format may have fields that this version calls unknown.
        Err(error) => match serde_json::from_str(text) {
            Ok(Head { format }) if format != FORMAT => Err(BundleError::Format(format)),
            _ => Err(error),
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
