//! Ends and removes what is left of attempts whose supervisor was killed together with its worker.

use std::env;
use std::time::Duration;

use crate::cgroup::Cgroup;
use crate::marked_processes::kill_marked;
use crate::scratch_directory::ScratchDirectory;
use crate::worker_cgroup::{WorkerCgroup, own_cgroup};

/// How long is waited for the processes of one attempt. What is left of it then stays until the next call.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);

/// Kills the attempts of killed workers, and those whose supervisor was killed, and removes their control groups and directories, if this user
/// owns them. Those of a living process are locked and are left alone. Returns how many control groups and directories were left.
pub fn remove_leftovers() -> usize {
    let workers = own_cgroup().map(|parent| WorkerCgroup::left_in(&parent)).unwrap_or_default();
    for worker in &workers {
        for mark in worker.attempts() {
            kill_marked(mark, Cgroup::existing(&worker.path().join(mark.name())).as_ref(), KILL_TIMEOUT);
        }
    }
    let directories = ScratchDirectory::left_in(&env::temp_dir());
    for (mark, directory) in &directories {
        if kill_marked(*mark, None, KILL_TIMEOUT) {
            ScratchDirectory::remove_at(directory.path());
        }
    }
    workers.len() + directories.len()
}
