//! Files that only their owner may read, replaced atomically.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::OFlags;

use crate::config::error::ConfigError;
use crate::file_trust;

/// The text of a file; `None` if the file does not exist.
///
/// # Errors
///
/// If it cannot be read; [`ConfigError`] if it may not be trusted or this user may not read it.
pub fn read(path: &Path) -> Result<Option<String>> {
    match file_trust::open(path).and_then(io::read_to_string) {
        Ok(text) => Ok(Some(text)),
        Err(error) => match error.kind() {
            ErrorKind::NotFound => Ok(None),
            ErrorKind::PermissionDenied => Err(refusal(path, &error).into()),
            _ => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        },
    }
}

/// Checks that a directory of such files may be trusted, if it exists.
///
/// # Errors
///
/// [`ConfigError`] if not.
pub fn check_directory(path: &Path) -> Result<(), ConfigError> {
    file_trust::check(path).map_err(|error| refusal(path, &error))
}

fn refusal(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError::new(format!("{} is not used: {error}", path.display()))
}

/// Writes a file atomically: a new file is written, synced to disk and renamed over the old one.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let write = || -> io::Result<()> {
        // What an interrupted write has left. A file that somebody else has put there is not written to.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = owner_only(OpenOptions::new().write(true).create_new(true)).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

/// Sets the mode 0600 for a file that these options create, and refuses a symbolic link, which may lead to a file of another kind.
pub fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
}
