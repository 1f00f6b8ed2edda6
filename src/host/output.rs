//! Standard output and standard error.

use std::io::{ErrorKind, Write};

/// Writes a text; whether the reader has gone is not our business, any other failure is.
pub fn print(mut stream: impl Write, text: &str) -> std::io::Result<()> {
    match stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        ended => ended,
    }
}
