//! The events of tasks, as the API streams them.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{OwnerId, TaskId};
use crate::name::{TypeName, WorkerName};
use crate::task::attempt::Attempt;
use crate::task::status::{Reason, Status};
use crate::timestamp::Timestamp;
use crate::wire::progress::Progress;
use crate::wire::task::Task;

/// What happened to a task. The order is that in which the events of one attempt come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum TaskEventKind {
    /// The task was accepted.
    Created,
    /// A worker was granted the task: an attempt began.
    Started,
    /// The operation reported its progress.
    Progress,
    /// An attempt ended and the task did not: it waits for another grant.
    AttemptEnded,
    /// The task ended: its status is final.
    Ended,
}

/// An event of a task: what happened, and the task as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskEvent {
    /// What happened; the same as the field `event` of the stream.
    pub event: TaskEventKind,
    /// The id of the task.
    pub id: TaskId,
    /// The account or client that submitted the task; only in the stream of all tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerId>,
    /// The type of the task: the name of the operation that runs it.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The status that the task got by this event.
    pub status: Status,
    /// Why the task was cancelled, or why the attempt ended (`attemptEnded`; `null`: its worker has released it).
    pub reason: Option<Reason>,
    /// The number of the attempt; 0 before the first.
    #[schema(value_type = u32, minimum = 0, maximum = 2_147_483_647)]
    pub attempt: Attempt,
    /// The worker that runs or ran the attempt.
    pub worker_name: Option<WorkerName>,
    /// When the task was accepted.
    pub creation_date: Timestamp,
    /// When the attempt began.
    pub start_date: Option<Timestamp>,
    /// When the task ended.
    pub end_date: Option<Timestamp>,
    /// What the operation has reported last of its progress; without `message` in the stream of all tasks.
    pub progress: Option<Progress>,
}

impl TaskEventKind {
    /// The name in JSON, and in the field `event` of a stream.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Started => "started",
            Self::Progress => "progress",
            Self::AttemptEnded => "attemptEnded",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for TaskEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TaskEvent {
    /// The last event of a task that is as `task`, without what only its attempts say.
    pub fn last_of(task: &Task) -> Self {
        let event = match task.status {
            Status::Created if task.attempts == 0 => TaskEventKind::Created,
            Status::Created => TaskEventKind::AttemptEnded,
            Status::Running if task.progress.is_some() => TaskEventKind::Progress,
            Status::Running => TaskEventKind::Started,
            Status::Finished | Status::Cancelled => TaskEventKind::Ended,
        };
        Self {
            event,
            id: task.id,
            owner: None,
            type_name: task.type_name.clone(),
            status: task.status,
            reason: task.reason,
            attempt: task.attempts,
            worker_name: task.worker_name.clone(),
            creation_date: task.creation_date,
            start_date: task.start_date,
            end_date: task.end_date,
            progress: task.progress.clone(),
        }
    }

    /// The event as operators see it: with the owner, and without the text of the operation.
    #[must_use]
    pub fn for_operators(&self, owner: OwnerId) -> Self {
        let progress = self.progress.clone().map(|progress| Progress { message: None, ..progress });
        Self { owner: Some(owner), progress, ..self.clone() }
    }

    /// Whether this event comes after `other`, which is of the same task.
    pub fn follows(&self, other: &Self) -> bool {
        let place = |event: &Self| {
            (event.attempt, event.event, event.progress.as_ref().map(|progress| progress.date))
        };
        place(self) > place(other)
    }
}
