//! Standard output and standard error.

use std::io::{ErrorKind, Write};

use crate::diag::hidden::{escaped, escaped_but_colours};

/// Writes a text without colours, with letters that do not show escaped, since some of it was others'
/// words: a rule's comment or a file's name must not move the cursor, nor turn the direction of writing.
///
/// Whether the reader has gone is not our business, any other failure is.
pub fn print(stream: impl Write, text: &str) -> std::io::Result<()> {
    write(stream, &escaped(text))
}

/// Like [`print`], for a text that may have colours of ours.
pub fn print_coloured(stream: impl Write, text: &str) -> std::io::Result<()> {
    write(stream, &escaped_but_colours(text))
}

fn write(mut stream: impl Write, text: &str) -> std::io::Result<()> {
    match stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        ended => ended,
    }
}
