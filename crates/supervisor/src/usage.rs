//! What a program and its descendants use, for hosts whose control groups do not limit it.

use std::fs;

use rustix::process::Pid;

use crate::descendants::descendants_of;
use crate::event::Limit;
use crate::launch::Limits;

/// The limit that the descendants of `root` exceed now. Their memory is what is resident, shared pages counted once for each process.
pub(crate) fn exceeded_limit(root: Pid, limits: &Limits) -> Option<Limit> {
    let processes = descendants_of(root);
    if let Some(most) = limits.processes
        && processes.iter().map(|pid| threads_of(*pid)).sum::<u64>() > u64::from(most)
    {
        return Some(Limit::Processes);
    }
    let most = limits.memory_bytes?;
    let used: u64 = processes.into_iter().map(resident_bytes_of).sum();
    (used > most).then_some(Limit::Memory)
}

/// The number of threads of a process; 0 if it has ended.
fn threads_of(pid: Pid) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
    tasks.map_or(0, |tasks| tasks.count() as u64)
}

/// The resident memory of a process; 0 if it has ended.
fn resident_bytes_of(pid: Pid) -> u64 {
    let sizes = fs::read_to_string(format!("/proc/{}/statm", pid.as_raw_nonzero())).unwrap_or_default();
    let pages: u64 = sizes.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
