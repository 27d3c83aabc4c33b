//! An accepted submission.

use crate::id::{OwnerId, TaskId};
use crate::name::{QueueName, TypeName};
use crate::raw_json::RawJson;
use crate::task::ttl::Ttl;
use crate::trace_context::TraceContext;

/// A submission that was validated and can be stored. A stored submission never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The task's id. It is chosen before the insert, so that a repeated insert has no effect.
    pub id: TaskId,
    /// The account that submits the task.
    pub owner: OwnerId,
    /// The type of the task.
    pub type_name: TypeName,
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
