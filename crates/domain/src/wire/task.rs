//! A task as its owner sees it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::TaskId;
use crate::name::{TypeName, WorkerName};
use crate::raw_json::RawJson;
use crate::task::status::{Reason, Status};
use crate::task::submission::Attempt;
use crate::task::ttl::Ttl;
use crate::timestamp::Timestamp;

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
    pub parameters: Option<RawJson>,
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
pub struct TaskSummary {
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
    pub tasks: Vec<TaskSummary>,
}

/// What a finished task's operation returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskResult {
    /// As the operation wrote it.
    pub result: RawJson,
}
