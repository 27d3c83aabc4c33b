//! The control group of a worker, below which each attempt has one of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use uuid::Uuid;

use crate::attempt_mark::AttemptMark;
use crate::locked_directory::LockedDirectory;
use crate::role_names;
use crate::supervisor_program::SupervisorProgram;

/// The beginning of the name of a worker's group.
const NAME_PREFIX: &str = "tasker-worker-";

/// The group of one worker. Dropped, it is removed, unless an attempt is left in it.
#[derive(Debug)]
pub(crate) struct WorkerCgroup {
    directory: LockedDirectory,
}

impl WorkerCgroup {
    /// Creates a group below `parent`, if `parent` has `cgroup.kill` and processes can be moved there.
    pub(crate) fn create(parent: &Path, supervisor: &SupervisorProgram) -> Option<Self> {
        let name = format!("{NAME_PREFIX}{}-{}", process::id(), Uuid::new_v4().simple());
        let directory = LockedDirectory::create(&parent.join(name), 0o755).ok()?;
        let cgroup = Self { directory };
        if !is_usable(cgroup.path(), supervisor) {
            return None;
        }
        delegate_controllers(cgroup.path());
        Some(cgroup)
    }

    /// Where the group is.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The groups that killed workers have left below `parent`.
    pub(crate) fn left_in(parent: &Path) -> Vec<Self> {
        let directories = LockedDirectory::left_in(parent, |name| name.starts_with(NAME_PREFIX));
        directories.into_iter().map(|directory| Self { directory }).collect()
    }

    /// The attempts whose groups are in this one.
    pub(crate) fn attempts(&self) -> Vec<AttemptMark> {
        let groups = fs::read_dir(self.path()).into_iter().flatten().filter_map(Result::ok);
        groups.filter_map(|group| AttemptMark::of_name(group.file_name().to_str()?)).collect()
    }
}

impl Drop for WorkerCgroup {
    fn drop(&mut self) {
        fs::remove_dir(self.path()).ok();
    }
}

/// Whether a process can be moved into the group at `path` and killed there.
fn is_usable(path: &Path, supervisor: &SupervisorProgram) -> bool {
    let mut command = Command::new(supervisor.path());
    let Ok(mut child) = command.arg(role_names::INIT).stdin(Stdio::piped()).spawn() else { return false };
    let is_moved = fs::write(path.join("cgroup.procs"), child.id().to_string()).is_ok();
    let is_killed = fs::write(path.join("cgroup.kill"), "1").is_ok();
    child.kill().ok();
    child.wait().ok();
    is_moved && is_killed
}

/// Lets the groups of attempts limit memory and processes, if this group may do so.
fn delegate_controllers(path: &Path) {
    for controller in ["+memory", "+pids"] {
        fs::write(path.join("cgroup.subtree_control"), controller).ok();
    }
}

/// The control group of this process, below which it may create others.
pub(crate) fn own_cgroup() -> Option<PathBuf> {
    let mount = cgroup2_mount(&fs::read_to_string("/proc/self/mountinfo").ok()?)?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    Some(mount.join(own_path(&groups)?.trim_start_matches('/')))
}

/// Where control groups of version 2 are mounted (`proc_pid_mountinfo(5)`).
fn cgroup2_mount(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|mount| {
        let (before, after) = mount.split_once(" - ")?;
        let is_cgroup2 = after.split(' ').next() == Some("cgroup2");
        is_cgroup2.then(|| before.split(' ').nth(4).map(PathBuf::from)).flatten()
    })
}

/// The control group of version 2 that this process is in (cgroups(7)).
fn own_path(groups: &str) -> Option<&str> {
    groups.lines().find_map(|group| group.strip_prefix("0::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_of_version_2_is_found_beside_version_1() {
        let mounts = "25 20 0:22 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
            26 20 0:23 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup2_mount(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(own_path("8:pids:/a\n0::/user.slice/x\n"), Some("/user.slice/x"));
    }
}
