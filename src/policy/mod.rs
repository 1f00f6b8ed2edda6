//! From the written policy to the resolved one: files are read through a [`Loader`], names are
//! looked up, and every check is made.

pub mod ir;

use thiserror::Error;

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
