//! Kills all descendants of this process and waits until none is left.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};

use crate::cgroup::Cgroup;
use crate::descendants::descendants_of;

/// The pause between two looks at what is left.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// How long processes may take to die after SIGKILL.
pub(crate) const KILL_TIMEOUT: Duration = Duration::from_secs(30);

/// Kills the processes of `cgroup` and all descendants of this process, and reaps its children, for [`KILL_TIMEOUT`] at most. Whether none is
/// left.
///
/// This process must be a child subreaper: orphans become its children, so that it has no child only once nothing is left.
pub(crate) fn kill_descendants(cgroup: Option<&Cgroup>) -> bool {
    let began = Instant::now();
    loop {
        if let Some(cgroup) = cgroup {
            cgroup.kill();
        }
        freeze_and_kill();
        if !reap() && cgroup.is_none_or(Cgroup::is_empty) {
            return true;
        }
        if began.elapsed() > KILL_TIMEOUT {
            return false;
        }
        poll(&mut [], Some(&PAUSE)).ok();
    }
}

/// Stops descendants until no new ones are found, so that none forks while the others are killed, then kills them.
fn freeze_and_kill() {
    let mut stopped: HashSet<Pid> = HashSet::new();
    loop {
        let new: Vec<Pid> = descendants_of(getpid()).into_iter().filter(|pid| stopped.insert(*pid)).collect();
        if new.is_empty() {
            break;
        }
        for pid in new {
            kill_process(pid, Signal::STOP).ok();
        }
    }
    for pid in stopped {
        kill_process(pid, Signal::KILL).ok();
    }
}

/// Reaps the children that have ended. Whether there are others.
pub(crate) fn reap() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}
