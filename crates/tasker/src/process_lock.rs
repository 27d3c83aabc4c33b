//! Lock files: one process at a time uses what such a file stands for, and the file names the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use crate::private_file;

/// An exclusive lock. The operating system releases it however the process ends.
#[derive(Debug)]
pub struct ProcessLock(#[expect(dead_code, reason = "an open file keeps the lock; nothing reads it")] File);

/// The result of [`acquire`].
#[derive(Debug)]
pub enum Acquisition {
    /// This process has the lock.
    Acquired(ProcessLock),
    /// Another process has it: ` as process ID`, or nothing if its id is not known.
    HeldByOther(String),
}

/// Locks the file at `path`, which is created if it does not exist, and writes the id of this process to it.
///
/// # Errors
///
/// If the file cannot be opened, locked or written.
pub fn acquire(path: &Path) -> io::Result<Acquisition> {
    let file =
        private_file::owner_only(OpenOptions::new().write(true).create(true).truncate(false)).open(path)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            write!(&file, "{}", std::process::id())?;
            Ok(Acquisition::Acquired(ProcessLock(file)))
        }
        Err(TryLockError::WouldBlock) => {
            let id = std::fs::read_to_string(path).unwrap_or_default();
            let process = if id.is_empty() { String::new() } else { format!(" as process {id}") };
            Ok(Acquisition::HeldByOther(process))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}
