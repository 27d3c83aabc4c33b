//! How many tasks there are in each status.

/// The number of tasks in each status, read in one snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Accepted submissions: rows of the table `task`.
    pub accepted: u64,
    /// Waiting tasks: rows of `unfinished_task` that are not claimed.
    pub created: u64,
    /// Running tasks: rows of `unfinished_task` that are claimed.
    pub running: u64,
    /// Finished tasks: rows of the table `outcome` with a result.
    pub finished: u64,
    /// Cancelled tasks: rows of the table `outcome` without a result.
    pub cancelled: u64,
}

impl TaskCounts {
    /// Whether no task is missing or counted twice: `accepted = created + running + finished + cancelled`.
    pub const fn is_balanced(&self) -> bool {
        self.accepted == self.created + self.running + self.finished + self.cancelled
    }
}
