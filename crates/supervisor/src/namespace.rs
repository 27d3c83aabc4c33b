//! A PID namespace for the children of this process.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use rustix::process::{getgid, getuid};
use rustix::thread::UnshareFlags;

use crate::role_names;

/// Makes the next child of this process the first of a new PID namespace. A process that may not do so gets a user namespace first,
/// in which it keeps its user and its group and no other. This process must have one thread.
pub(crate) fn enter_for_children() -> io::Result<()> {
    if unshare(UnshareFlags::NEWPID).is_ok() {
        return Ok(());
    }
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWPID)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// Makes a PID namespace with a child that ends at once.
pub(crate) fn try_with_child() -> io::Result<()> {
    enter_for_children()?;
    // Without its input the init process ends.
    let init = Command::new("/proc/self/exe").arg(role_names::INIT).stdin(Stdio::null()).status()?;
    if init.success() { Ok(()) } else { Err(io::Error::other("a process in a PID namespace failed")) }
}

#[expect(deprecated, reason = "its successor is unsafe only for the flag FILES, which is not used here")]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}
