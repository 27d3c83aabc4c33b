//! An accepted submission, and the number of tasks in each status.

use crate::id::{OwnerId, TaskId};
use crate::name::{QueueName, TypeName};
use crate::raw_json::RawJson;
use crate::task::ttl::Ttl;
use crate::trace_context::TraceContext;

/// The number of a grant of a task, used as a fencing token: each grant raises it, nothing lowers it, and reports of an
/// earlier grant are refused. 0: never granted.
pub type Attempt = u32;

/// A submission that was validated and can be stored. A stored submission never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The task's id. It is chosen before the insert, so that a repeated insert has no effect.
    pub id: TaskId,
    /// The account that submits the task.
    pub owner: OwnerId,
    /// The type of the task.
    pub name: TypeName,
    /// The queue of the type's operation.
    pub queue: QueueName,
    /// The operation's parameters, as they were received.
    pub parameters: Option<RawJson>,
    /// How long an attempt may run, counted from its claim.
    pub ttl: Ttl,
    /// How long the task may wait for a claim, counted from its acceptance or release.
    pub start_within: Ttl,
    /// The span of the submission, parent of the task's other spans. `None`: the task is not traced.
    pub trace: Option<TraceContext>,
}

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
    pub const fn balance(&self) -> bool {
        self.accepted == self.created + self.running + self.finished + self.cancelled
    }
}
