//! Lock files: one process at a time uses what such a file stands for, and the file names the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
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
        private_file::owner_only(OpenOptions::new().read(true).write(true).create(true).truncate(false))
            .open(path)?;
    // Whoever asks by `is_held` has a shared lock for a moment, which keeps the exclusive one from nobody for longer.
    while !try_lock(&file)? {
        if is_locked_exclusively(&file)? {
            let id = std::fs::read_to_string(path).unwrap_or_default();
            let process = if id.is_empty() { String::new() } else { format!(" as process {id}") };
            return Ok(Acquisition::HeldByOther(process));
        }
    }
    file.set_len(0)?;
    write!(&file, "{}", std::process::id())?;
    Ok(Acquisition::Acquired(ProcessLock(file)))
}

/// Whether a process has the lock of the file at `path`, which need not exist.
///
/// # Errors
///
/// If the file cannot be opened.
pub fn is_held(path: &Path) -> io::Result<bool> {
    match private_file::owner_only(OpenOptions::new().read(true)).open(path) {
        Ok(file) => is_locked_exclusively(&file),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn is_locked_exclusively(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
