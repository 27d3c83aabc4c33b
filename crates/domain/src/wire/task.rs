//! Tasks as the API shows them to their owner.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::TaskId;
use crate::name::{TypeName, WorkerName};
use crate::raw_json::RawJson;
use crate::task::attempt::Attempt;
use crate::task::status::{Reason, Status};
use crate::task::ttl::Ttl;
use crate::timestamp::Timestamp;
use crate::wire::progress::Progress;

/// A task. Members that have no value yet are `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// The id of the task.
    pub id: TaskId,
    /// The type of the task: the name of the operation that runs it.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The parameters, as they were submitted.
    #[schema(value_type = Option<serde_json::Value>)]
    pub parameters: Option<RawJson>,
    /// The status of the task.
    pub status: Status,
    /// Why the task was cancelled.
    pub reason: Option<Reason>,
    /// The error that the failed operation reported.
    pub error: Option<String>,
    /// When the task was accepted.
    pub creation_date: Timestamp,
    /// The task is ready, and may be claimed, from then on; `null`: from its submission on.
    pub not_before: Option<Timestamp>,
    /// When a worker claimed the task.
    pub start_date: Option<Timestamp>,
    /// When the task ended.
    pub end_date: Option<Timestamp>,
    /// `startDate` + `ttl`: a result that is reported later is refused.
    pub deadline: Option<Timestamp>,
    /// How long the task may run, in milliseconds from the claim.
    pub ttl: Ttl,
    /// How often the task has been granted to a worker.
    #[schema(value_type = u32, minimum = 0, maximum = 2_147_483_647)]
    pub attempt: Attempt,
    /// The worker that runs or ran the task.
    pub worker_name: Option<WorkerName>,
    /// What the operation has reported last of its progress.
    pub progress: Option<Progress>,
}

/// A task in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskSummary {
    /// The id of the task.
    pub id: TaskId,
    /// The type of the task: the name of the operation that runs it.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The status of the task.
    pub status: Status,
    /// Why the task was cancelled.
    pub reason: Option<Reason>,
    /// When the task was accepted.
    pub creation_date: Timestamp,
}

/// The caller's tasks, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskList {
    /// The tasks.
    pub tasks: Vec<TaskSummary>,
}

/// The result of a finished task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskResult {
    /// The result, as the operation returned it.
    pub result: RawJson,
}
