//! A control group (version 2) of one attempt.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use crate::launch::Limits;

/// The control group of one attempt. Only processes of the attempt are in it. Dropped, it is removed if it is empty.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Creates the group. Limits apply as far as the group above it delegates their controllers.
    pub(crate) fn create(path: &Path, limits: &Limits) -> io::Result<Self> {
        fs::create_dir(path)?;
        let cgroup = Self { path: path.to_owned() };
        let set = |file: &str, value: String| fs::write(path.join(file), value).is_ok();
        if let Some(bytes) = limits.memory_bytes
            && set("memory.max", bytes.to_string())
        {
            set("memory.swap.max", "0".to_owned());
            set("memory.oom.group", "1".to_owned());
        }
        if let Some(processes) = limits.processes {
            // The init process is in the group, too.
            set("pids.max", (u64::from(processes) + 1).to_string());
        }
        Ok(cgroup)
    }

    /// Moves a process into the group.
    pub(crate) fn add(&self, pid: Pid) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), pid.as_raw_nonzero().to_string())
    }

    /// Sends SIGKILL to all processes of the group at once (Linux 5.14 or newer).
    pub(crate) fn kill(&self) {
        fs::write(self.path.join("cgroup.kill"), "1").ok();
    }

    /// Whether no process is in the group.
    pub(crate) fn is_empty(&self) -> bool {
        let events = fs::read_to_string(self.path.join("cgroup.events")).unwrap_or_default();
        !events.lines().any(|line| line == "populated 1")
    }

    /// Whether the kernel has killed the group because its memory was used up.
    pub(crate) fn has_run_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        events.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count != "0"))
    }

    /// Whether the kernel has refused a process because there were too many.
    pub(crate) fn has_run_out_of_processes(&self) -> bool {
        let events = fs::read_to_string(self.path.join("pids.events")).unwrap_or_default();
        events.lines().any(|line| line.strip_prefix("max ").is_some_and(|count| count != "0"))
    }

    /// A group that a supervisor has created and left, if it is still there.
    pub(crate) fn existing(path: &Path) -> Option<Self> {
        path.is_dir().then(|| Self { path: path.to_owned() })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        fs::remove_dir(&self.path).ok();
    }
}
