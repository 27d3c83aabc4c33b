//! The directory of one attempt: its standard input, and its working directory if it has no other.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::attempt_mark::AttemptMark;
use crate::locked_directory::LockedDirectory;
use crate::system_user::SystemUser;

/// The directory, which nobody but its user may read. Dropped, it is removed with everything in it.
#[derive(Debug)]
pub(crate) struct ScratchDirectory {
    directory: LockedDirectory,
}

impl ScratchDirectory {
    /// Creates the directory, with a working directory in it that belongs to `user`.
    pub(crate) fn create(path: &Path, user: Option<SystemUser>) -> io::Result<Self> {
        let scratch = Self { directory: LockedDirectory::create(path, 0o700)? };
        DirBuilder::new().mode(0o700).create(scratch.working_directory())?;
        if let Some(SystemUser { user, group }) = user {
            chown(scratch.working_directory(), Some(user), Some(group))?;
            // The user must be able to reach its working directory; it cannot read the directory above it.
            fs::set_permissions(path, Permissions::from_mode(0o711))?;
        }
        Ok(scratch)
    }

    /// The working directory.
    pub(crate) fn working_directory(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    /// Writes the standard input; returns the file.
    pub(crate) fn write_input(&self, input: &str) -> io::Result<PathBuf> {
        let path = self.directory.path().join("input");
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(input.as_bytes())?;
        Ok(path)
    }

    /// The directories that killed supervisors have left in `parent`.
    pub(crate) fn left_in(parent: &Path) -> Vec<(AttemptMark, LockedDirectory)> {
        let directories = LockedDirectory::left_in(parent, |name| AttemptMark::of_name(name).is_some());
        let with_mark = directories.into_iter().filter_map(|directory| {
            let mark = AttemptMark::of_name(directory.path().file_name()?.to_str()?)?;
            Some((mark, directory))
        });
        with_mark.collect()
    }

    /// Removes a directory that a supervisor has left.
    pub(crate) fn remove_at(path: &Path) {
        // Root needs no permission, and must not be led astray by a link that a process which is left makes meanwhile.
        if fs::remove_dir_all(path).is_err() && !geteuid().is_root() {
            open_directories(path).and_then(|()| fs::remove_dir_all(path)).ok();
        }
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        Self::remove_at(self.directory.path());
    }
}

/// Lets this user into all directories below `path`: a program may have closed them to everybody.
fn open_directories(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // A symbolic link is no directory here.
        if entry.file_type()?.is_dir() {
            open_directories(&entry.path())?;
        }
    }
    Ok(())
}
