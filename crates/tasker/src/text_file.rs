//! Text that people write, in files or on standard input: its UTF-8 may begin with a byte order mark, which is not part of it.

use std::io::{Read, Result};
use std::path::Path;

use crate::file_trust;

/// The byte order mark of Unicode.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of the file at `path`.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map(without_mark)
}

/// The text of the file at `path`, if the file may be trusted.
pub fn read_trusted(path: &Path) -> Result<String> {
    file_trust::open(path).and_then(read_from)
}

/// The text of `input`, up to its end.
pub fn read_from(input: impl Read) -> Result<String> {
    std::io::read_to_string(input).map(without_mark)
}

/// The bytes of the PEM file at `path`, if the file may be trusted: certificates say who is trusted, and keys are secrets.
pub fn read_pem(path: &Path) -> Result<Vec<u8>> {
    let mut pem = Vec::new();
    file_trust::open(path)?.read_to_end(&mut pem)?;
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
