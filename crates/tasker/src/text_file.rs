//! Text that people write, in files or on standard input: its UTF-8 may begin with a byte order mark, which is not part of it.

use std::io::{Read, Result};
use std::path::Path;

/// The byte order mark of Unicode.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of the file at `path`.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map(without_mark)
}

/// The text of `input`, up to its end.
pub fn read_from(input: impl Read) -> Result<String> {
    std::io::read_to_string(input).map(without_mark)
}

/// The bytes of the PEM file at `path`.
pub fn read_pem(path: &Path) -> Result<Vec<u8>> {
    let mut pem = std::fs::read(path)?;
    if pem.starts_with(BYTE_ORDER_MARK.to_string().as_bytes()) {
        pem.drain(..BYTE_ORDER_MARK.len_utf8());
    }
    Ok(pem)
}

fn without_mark(text: String) -> String {
    match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}
