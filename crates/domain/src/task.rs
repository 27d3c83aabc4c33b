//! A task as its owner sees it, from the submission to the result.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{OwnerId, TaskId};
use crate::json::Json;
use crate::name::{QueueName, TypeName, WorkerName};
use crate::status::{Reason, Status};
use crate::timestamp::Timestamp;
use crate::trace::Trace;
use crate::ttl::Ttl;

/// The number of a grant: the fence. Each claim raises it, nothing lowers it. 0: never claimed.
pub type Attempt = u32;

/// A submission that has passed every rule and is ready to be stored. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Minted before the statement, so that a repeated statement is harmless.
    pub id: TaskId,
    /// Who asks.
    pub owner: OwnerId,
    /// Which operation.
    pub name: TypeName,
    /// The operation's queue.
    pub queue: QueueName,
    /// For the operation, as they came.
    pub parameters: Option<Json>,
    /// The life of an attempt, counted from its claim.
    pub ttl: Ttl,
    /// How long it may wait for a claim.
    pub start_within: Ttl,
    /// The trace that its steps belong to, if anybody traces.
    pub trace: Option<Trace>,
}

/// Everything about one task. What is not known yet is `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The operation it asks for.
    #[serde(rename = "type")]
    pub name: TypeName,
    /// As they were submitted.
    #[schema(value_type = Option<serde_json::Value>)]
    pub parameters: Option<Json>,
    /// Where it is in its life.
    pub status: Status,
    /// Why it was cancelled.
    pub reason: Option<Reason>,
    /// What a failed operation said.
    pub error: Option<String>,
    /// When it was accepted.
    pub creation_date: Timestamp,
    /// When it was claimed.
    pub start_date: Option<Timestamp>,
    /// When it ended.
    pub end_date: Option<Timestamp>,
    /// `startDate` + `ttl`: its result counts until then.
    pub deadline: Option<Timestamp>,
    /// In milliseconds, from the claim.
    pub ttl: Ttl,
    /// The number of the latest grant.
    pub attempt: Attempt,
    /// Who runs or ran it.
    pub worker_name: Option<WorkerName>,
}

/// A task's line in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// Its id.
    pub id: TaskId,
    /// The operation it asks for.
    #[serde(rename = "type")]
    pub name: TypeName,
    /// Where it is in its life.
    pub status: Status,
}

/// The caller's tasks, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskList {
    /// One line each.
    pub tasks: Vec<Summary>,
}

/// What a finished task's operation returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskResult {
    /// As the operation wrote it.
    pub result: Json,
}

/// The books: how many tasks are in each status, taken at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows of `task`.
    pub accepted: u64,
    /// In `live`, not claimed.
    pub created: u64,
    /// In `live`, claimed.
    pub running: u64,
    /// In `outcome`.
    pub finished: u64,
    /// In `outcome`.
    pub cancelled: u64,
}

impl Counts {
    /// `accepted = CREATED + RUNNING + FINISHED + CANCELLED`.
    pub const fn balance(&self) -> bool {
        self.accepted == self.created + self.running + self.finished + self.cancelled
    }
}
