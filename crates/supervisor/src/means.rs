//! By what means the descendants of a program can be killed on this host.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::role_names;
use crate::supervisor_program::SupervisorProgram;

/// Which means may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeansPreference {
    /// All that the host allows.
    #[default]
    Auto,
    /// Control groups, without PID namespaces.
    Cgroup,
    /// PID namespaces, without control groups.
    Namespace,
    /// Neither.
    Subreaper,
}

/// By what means the descendants of a program are killed. The child subreaper always is one: orphans are adopted by the supervisor, which
/// stops and kills its descendants until none is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopMeans {
    /// The control group below which each attempt has one of its own (version 2, `cgroup.kill`).
    pub(crate) cgroup: Option<PathBuf>,
    /// Whether each attempt has a PID namespace, with which the kernel ends all its processes.
    pub(crate) has_namespace: bool,
}

impl StopMeans {
    /// Finds out what this host allows of what `preference` asks for. Creates a control group, and starts processes
    /// of `supervisor` to try it and a namespace.
    pub fn find(supervisor: &SupervisorProgram, preference: MeansPreference) -> Self {
        let (wants_cgroup, wants_namespace) = match preference {
            MeansPreference::Auto => (true, true),
            MeansPreference::Cgroup => (true, false),
            MeansPreference::Namespace => (false, true),
            MeansPreference::Subreaper => (false, false),
        };
        Self {
            cgroup: wants_cgroup.then(|| usable_cgroup(supervisor)).flatten(),
            has_namespace: wants_namespace && is_namespace_allowed(supervisor),
        }
    }

    /// Whether each attempt has a control group.
    pub fn has_cgroup(&self) -> bool {
        self.cgroup.is_some()
    }

    /// Whether each attempt has a PID namespace.
    pub fn has_namespace(&self) -> bool {
        self.has_namespace
    }

    /// Removes the control group that [`StopMeans::find`] has created. No attempt may be left in it.
    pub fn remove(&self) {
        if let Some(cgroup) = &self.cgroup {
            fs::remove_dir(cgroup).ok();
        }
    }
}

impl fmt::Display for StopMeans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cgroup = self.has_cgroup().then_some("control group");
        let namespace = self.has_namespace.then_some("PID namespace");
        let means: Vec<&str> = [cgroup, namespace, Some("child subreaper")].into_iter().flatten().collect();
        f.write_str(&means.join(", "))
    }
}

/// A new control group below that of this process, if it has `cgroup.kill` and processes can be moved there.
fn usable_cgroup(supervisor: &SupervisorProgram) -> Option<PathBuf> {
    let mount = cgroup2_mount(&fs::read_to_string("/proc/self/mountinfo").ok()?)?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let parent = mount.join(own_cgroup(&groups)?.trim_start_matches('/'));
    let path = parent.join(format!("tasker-{}-{}", process::id(), uuid::Uuid::new_v4().simple()));
    fs::create_dir(&path).ok()?;
    if is_usable(&path, supervisor) {
        delegate_controllers(&path);
        return Some(path);
    }
    fs::remove_dir(&path).ok();
    None
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

/// Where control groups of version 2 are mounted (`proc_pid_mountinfo(5)`).
fn cgroup2_mount(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|mount| {
        let (before, after) = mount.split_once(" - ")?;
        let is_cgroup2 = after.split(' ').next() == Some("cgroup2");
        is_cgroup2.then(|| before.split(' ').nth(4).map(PathBuf::from)).flatten()
    })
}

/// The control group of version 2 that this process is in (cgroups(7)).
fn own_cgroup(groups: &str) -> Option<&str> {
    groups.lines().find_map(|group| group.strip_prefix("0::"))
}

/// Whether the children of a process of this user can have a PID namespace of their own.
fn is_namespace_allowed(supervisor: &SupervisorProgram) -> bool {
    let trial = Command::new(supervisor.path()).arg(role_names::NAMESPACE_TRIAL).status();
    trial.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_of_version_2_is_found_beside_version_1() {
        let mounts = "25 20 0:22 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
            26 20 0:23 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup2_mount(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(own_cgroup("8:pids:/a\n0::/user.slice/x\n"), Some("/user.slice/x"));
    }
}
