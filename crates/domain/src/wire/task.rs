//! Tasks as the API shows them to their owner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{SubjectId, TaskId};
use crate::name::{ScheduleName, TypeName, WorkerName};
use crate::raw_json::RawJson;
use crate::task::attempt::Attempt;
use crate::task::label::Labels;
use crate::task::priority::Priority;
use crate::task::retry_policy::RetryPolicy;
use crate::task::status::{AttemptEnd, Reason, Status};
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
    /// The parameters, as they were submitted; once the tasks of `parametersFrom` have finished, with their results.
    #[schema(value_type = Option<serde_json::Value>)]
    pub parameters: Option<RawJson>,
    /// The status of the task.
    pub status: Status,
    /// Why the task was cancelled.
    pub reason: Option<Reason>,
    /// The error that the failed operation reported.
    pub error: Option<String>,
    /// The administrator who cancelled the task; `null` if its owner did.
    pub cancelled_by: Option<SubjectId>,
    /// The labels, as they were submitted.
    pub labels: Labels,
    /// When the task was accepted.
    pub creation_date: Timestamp,
    /// The task is ready, and may be claimed, from then on; `null`: from its submission on. While it waits to be tried again: the end
    /// of the pause.
    pub not_before: Option<Timestamp>,
    /// When the task was granted to a worker, the last time.
    pub start_date: Option<Timestamp>,
    /// When the task ended.
    pub end_date: Option<Timestamp>,
    /// `startDate` + `ttl`, or the end of `totalTtlMs` if that is earlier: a result that is reported later is refused.
    pub deadline: Option<Timestamp>,
    /// When the work of the last attempt has stopped: for an attempt that its worker has reported, its end; else when the worker has
    /// said that the work has stopped, after a cancellation or the deadline. `null`: it may still go on.
    pub stopped_date: Option<Timestamp>,
    /// How long an attempt may run, in milliseconds from its grant.
    pub ttl: Ttl,
    /// How long all attempts may take together, in milliseconds from the first claim; `null`: not limited.
    pub total_ttl_ms: Option<Ttl>,
    /// The priority among the ready tasks of the type.
    pub priority: Priority,
    /// How many attempts may fail, the first one included.
    #[schema(minimum = 1, maximum = 100)]
    pub max_attempts: u32,
    /// When the task is tried again; `null`: it is tried once.
    pub retry: Option<RetryPolicy>,
    /// The tasks that must have finished before the task is ready.
    pub after: Vec<TaskId>,
    /// Members of the parameters that are the results of tasks of `after`, by their names. Until all of those have finished,
    /// `parameters` lacks these members.
    pub parameters_from: BTreeMap<String, TaskId>,
    /// The task whose content was submitted again as this one; `null`: this one was submitted by itself.
    pub rerun_of: Option<TaskId>,
    /// How often the task has been granted to a worker.
    #[schema(value_type = u32, minimum = 0, maximum = 2_147_483_647)]
    pub attempts: Attempt,
    /// The worker that runs or ran the task.
    pub worker_name: Option<WorkerName>,
    /// The schedule that submitted the task.
    pub schedule: Option<ScheduleName>,
    /// The time of the schedule for which the task was submitted; `null` if somebody ran the schedule by hand.
    pub scheduled_for: Option<Timestamp>,
    /// What the operation has reported last of its progress.
    pub progress: Option<Progress>,
}

/// An attempt of a task. Members that have no value yet are `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskAttempt {
    /// The number of the attempt: 1 for the first.
    #[schema(value_type = u32, minimum = 1, maximum = 2_147_483_647)]
    pub attempt: Attempt,
    /// The worker that runs or ran it.
    pub worker_name: WorkerName,
    /// When the worker claimed the task.
    pub start_date: Timestamp,
    /// A result that is reported later is refused.
    pub deadline: Timestamp,
    /// When the attempt ended.
    pub end_date: Option<Timestamp>,
    /// How the attempt ended.
    pub end: Option<AttemptEnd>,
    /// The error that the failed operation reported.
    pub error: Option<String>,
    /// How long after the deadline the result was reported, in milliseconds; only for `LATE_RESULT`.
    pub late_by_ms: Option<u64>,
}

/// The attempts of a task, the first one first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskAttemptList {
    /// The attempts.
    pub attempts: Vec<TaskAttempt>,
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
    /// The labels, as they were submitted; absent if there are none.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
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
