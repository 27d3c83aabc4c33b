//! Whether a file may be trusted: whether no other user of this machine can have written it.
//!
//! In a directory such as `/tmp` another user may have created the file first. Its settings, addresses, secrets and databases could
//! then send tasks and passwords to that user's server.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::StatVfsMountFlags;

/// What all users who are neither the owner nor of the group may do: write.
const WRITABLE_BY_OTHERS: u32 = 0o002;

/// Opens a file for reading.
///
/// # Errors
///
/// If it cannot be opened; [`ErrorKind::PermissionDenied`], with the rule that it breaks, if it may not be trusted.
pub fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    check_metadata(&file.metadata()?, rustix::fs::fstatvfs(&file)?.f_flag)?;
    Ok(file)
}

/// Checks a file or directory that another part of the program opens; one that does not exist may be trusted.
///
/// # Errors
///
/// As [`open`].
pub fn check(path: &Path) -> io::Result<()> {
    match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        found => check_metadata(&found?, rustix::fs::statvfs(path)?.f_flag),
    }
}

/// A file may be trusted if it belongs to the user of this process or to root and not every user may write it, or if its file system
/// is mounted without write access, which is how containers get settings and secrets that belong to a user of the host. The
/// group may have write access: the owner has chosen it, as the umask 002 of many systems and `fsGroup` of Kubernetes do.
fn check_metadata(file: &Metadata, mount: StatVfsMountFlags) -> io::Result<()> {
    let refuse = |why: String| Err(io::Error::new(ErrorKind::PermissionDenied, why));
    let user = rustix::process::geteuid().as_raw();
    if mount.contains(StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    if ![user, 0].contains(&file.uid()) {
        return refuse(format!(
            "it belongs to the user with the id {}, and Tasker uses only what belongs to its own user ({user}) or to root",
            file.uid()
        ));
    }
    // A device such as /dev/null is writable by all, and keeps nothing of what they write.
    let keeps_what_is_written = file.is_file() || file.is_dir();
    if keeps_what_is_written && file.mode() & WRITABLE_BY_OTHERS != 0 {
        return refuse("every user of this machine may write it: take that away with chmod o-w".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_all_may_write_is_refused_and_one_that_the_group_may_write_is_not() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        assert!(check(&path).is_ok(), "there is nothing to distrust");
        std::fs::write(&path, "text").unwrap();
        for (mode, is_trusted) in
            [(0o600, true), (0o664, true), (0o440, true), (0o602, false), (0o666, false)]
        {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!((open(&path).is_ok(), check(&path).is_ok()), (is_trusted, is_trusted), "{mode:o}");
        }
        assert!(open(Path::new("/dev/null")).is_ok());
    }
}
