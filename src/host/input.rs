//! What others hand to a command.

use std::io::{self, Read};
use std::path::Path;

use super::HostError;
use super::error::io_error;

/// Reads standard input to its end, at most `limit` bytes.
///
/// Errors: more than that, and what is no UTF-8 text.
pub fn standard_input(limit: u64) -> Result<String, HostError> {
    let path = Path::new("standard input");
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(io_error("read", path))?;
    if bytes.len() as u64 > limit {
        let path = path.to_owned();
        return Err(HostError::TooLarge { path, limit });
    }
    String::from_utf8(bytes).map_err(|_| HostError::NotText(path.to_owned()))
}
