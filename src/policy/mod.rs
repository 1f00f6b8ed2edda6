//! From the written policy to the resolved one: files are read through a [`Loader`], names are
//! looked up, and every check is made.

mod access;
mod check;
mod containers;
mod engine;
mod exposures;
mod hidden;
mod hosts;
mod icmp;
mod imports;
mod interface;
pub mod ir;
mod limits;
mod links;
mod lint;
mod list;
mod literal;
mod names;
mod networks;
mod once;
mod path;
mod ports;
mod reader;
mod resolve;
mod routes;
mod settings;
mod stock;
mod sysctl;
#[cfg(test)]
mod tests;
mod trust;
mod undeclared;

use thiserror::Error;

use crate::diag::Diagnostics;
use crate::facts::Facts;
use crate::source::SourceMap;

use reader::Reader;

pub use lint::lint;

/// Gives the text of a policy file. Names are relative to the folder of the main policy, with `/`
/// between their parts and neither `.` nor `..` left in them.
pub trait Loader {
    fn load(&self, name: &str) -> Result<String, LoadError>;
}

/// Why a file of a policy could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadError {
    #[error("there is no such file")]
    Missing,
    #[error("it is not UTF-8 text")]
    NotText,
    #[error("{0}")]
    Other(String),
    #[error("it is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("somebody other than root may write it: {0}")]
    Unsafe(String),
}

impl Loaded {
    /// Returns the policy of the host that the policy names first.
    pub fn policy(&self) -> Option<&ir::Policy> {
        self.policies.first()
    }
}

/// What loading a policy brought.
#[derive(Debug)]
pub struct Loaded {
    /// All texts that were read, in the order they were met.
    pub sources: SourceMap,
    /// Every mistake of all files, and warnings.
    pub diagnostics: Diagnostics,
    /// One for each host, in the order written; none when there is any error.
    pub policies: Vec<ir::Policy>,
}

/// Reads the policy `main` with all its files, looks up its names and makes every check.
///
/// A `main` with folders has its own folder as the policy's: names that the loader is asked for
/// then start with that folder.
pub fn load(loader: &dyn Loader, main: &str) -> Loaded {
    load_with(loader, main, None)
}

/// Like [`load`], with addresses of an inventory for containers to which the policy gives none.
pub fn load_with(loader: &dyn Loader, main: &str, inventory: Option<&Facts>) -> Loaded {
    let mut reader = Reader::new(loader, main);
    let policies = reader.main(main).map(|main| {
        let imports = imports::read(&mut reader, main);
        resolve::resolve(&imports, main, inventory, &mut reader)
    });
    let policies = policies.unwrap_or_default();
    let Reader {
        sources,
        diagnostics,
        ..
    } = reader;
    Loaded {
        policies: if diagnostics.has_errors() {
            Vec::new()
        } else {
            policies
        },
        sources,
        diagnostics,
    }
}
