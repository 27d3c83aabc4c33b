//! A directory that its maker holds a lock on (flock(2)), so that what a killed process has left can be told from what a living one uses.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;

/// A directory and the lock on it. The kernel takes the lock away from a process that ends, however it ends, and keeps it for all
/// containers and PID namespaces that share the directory. No other program inherits it.
#[derive(Debug)]
pub(crate) struct LockedDirectory {
    path: PathBuf,
    _lock: File,
}

impl LockedDirectory {
    /// Creates a directory with the permissions `mode`.
    pub(crate) fn create(path: &Path, mode: u32) -> io::Result<Self> {
        loop {
            DirBuilder::new().mode(mode).create(path)?;
            let lock = match open(path) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            // A file system without locks refuses them to everybody, also to who wants to remove what is left.
            lock.lock().ok();
            // Until the directory was locked it looked like one that is left, and may have been removed.
            if path.exists() {
                return Ok(Self { path: path.to_owned(), _lock: lock });
            }
        }
    }

    /// The directories of this user in `parent` whose name satisfies `is_wanted` and that no process holds a lock on.
    pub(crate) fn left_in(parent: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<Self> {
        let entries = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
        let wanted = entries.filter(|entry| entry.file_name().to_str().is_some_and(&is_wanted));
        wanted.filter_map(|entry| Self::take(entry.path())).collect()
    }

    /// Takes over a directory that its maker has left.
    fn take(path: PathBuf) -> Option<Self> {
        let lock = open(&path).ok()?;
        let is_own = lock.metadata().ok()?.uid() == geteuid().as_raw();
        (is_own && lock.try_lock().is_ok()).then_some(Self { path, _lock: lock })
    }

    /// Where the directory is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens a directory; a symbolic link is none.
fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_directory_is_left_once_nobody_holds_its_lock() {
        let parent = tempfile::tempdir().unwrap();
        let left = || {
            let found = LockedDirectory::left_in(parent.path(), |name| name.starts_with("mine-"));
            found.into_iter().map(|left| left.path).collect::<Vec<_>>()
        };
        fs::create_dir(parent.path().join("other")).unwrap();
        symlink(parent.path().join("other"), parent.path().join("mine-link")).unwrap();
        fs::write(parent.path().join("mine-file"), "").unwrap();
        let path = parent.path().join("mine-1");
        let held = LockedDirectory::create(&path, 0o700).unwrap();
        assert_eq!(left(), Vec::<PathBuf>::new());
        drop(held);
        assert_eq!(left(), [path]);
    }
}
