//! A validated submission, which can be stored.

use crate::id::{OwnerId, TaskId};
use crate::name::{QueueName, TypeName};
use crate::raw_json::RawJson;
use crate::task::options::TaskOptions;
use crate::task::ttl::Ttl;
use crate::timestamp::Timestamp;
use crate::trace_context::TraceContext;

/// From when on a task may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotBefore {
    /// From its submission on.
    Submission,
    /// From this many milliseconds after its submission on.
    DelayMs(u64),
    /// From this instant on, or from its submission if that is later.
    Instant(Timestamp),
}

impl NotBefore {
    /// When a task that is submitted at `submitted` becomes ready.
    pub fn ready_at(self, submitted: Timestamp) -> Timestamp {
        match self {
            Self::Submission => submitted,
            Self::DelayMs(millis) => {
                submitted.plus_micros(i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(1000))
            }
            Self::Instant(instant) => submitted.max(instant),
        }
    }
}

/// A submission that was validated and can be stored. Of a stored submission only the parameters change, once, if results of other
/// tasks become members of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The task's id. It is chosen before the insert, so that a repeated insert has no effect.
    pub id: TaskId,
    /// The account or the client that submits the task.
    pub owner: OwnerId,
    /// The type of the task.
    pub type_name: TypeName,
    /// The queue of the type's operation.
    pub queue: QueueName,
    /// The operation's parameters, as they were received.
    pub parameters: Option<RawJson>,
    /// How long an attempt may run, counted from its grant.
    pub ttl: Ttl,
    /// From when on the task may be claimed.
    pub not_before: NotBefore,
    /// How long the task may wait for a grant, counted from when it is ready.
    pub start_within: Ttl,
    /// What only few submissions say.
    pub options: TaskOptions,
    /// The span of the submission, parent of the task's other spans. `None`: the task is not traced.
    pub trace: Option<TraceContext>,
}
