//! The processes of an attempt, found by a variable of their environment: for when their supervisor was killed.

use std::fs;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use crate::attempt_mark::AttemptMark;
use crate::cgroup::Cgroup;
use crate::descendants::process_ids;

/// The variable that marks the processes of an attempt.
pub(crate) const MARK: &str = "TASKER_SUPERVISION";

/// The variable that marks the init process of an attempt, which must not be killed before it has killed its descendants.
pub(crate) const INIT_MARK: &str = "TASKER_SUPERVISION_INIT";

/// The pause between two looks.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

/// Kills the processes that are marked with `mark`, and those of `cgroup`, until none is left and the init process has ended, for `limit` at
/// most. Whether none is left; a process that has cleared its environment is found only by the control group or by the init process.
pub(crate) fn kill_marked(mark: AttemptMark, cgroup: Option<&Cgroup>, limit: Duration) -> bool {
    let began = Instant::now();
    loop {
        if let Some(cgroup) = cgroup {
            cgroup.kill();
        }
        let marked = marked_processes(MARK, mark);
        let has_init = !marked_processes(INIT_MARK, mark).is_empty();
        if marked.is_empty() && !has_init && cgroup.is_none_or(Cgroup::is_empty) {
            return true;
        }
        for pid in marked {
            kill_process(pid, Signal::KILL).ok();
        }
        if began.elapsed() > limit {
            return false;
        }
        poll(&mut [], Some(&PAUSE)).ok();
    }
}

fn marked_processes(name: &str, mark: AttemptMark) -> Vec<Pid> {
    let variable = format!("{name}={mark}");
    let is_marked = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|set| set == variable.as_bytes())
    };
    process_ids().filter(is_marked).filter_map(Pid::from_raw).collect()
}
