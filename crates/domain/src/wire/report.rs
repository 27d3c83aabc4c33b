//! Results and failures that a worker reports, and how each was settled.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{ClaimId, TaskId};
use crate::name::WorkerName;
use crate::raw_json::RawJson;
use crate::task::status::Reason;
use crate::task::submission::Attempt;
use crate::trace_context::TraceContext;

/// What a worker has to say of the tasks it was granted (`POST /api/Task/results`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reports {
    /// Who speaks.
    pub worker: WorkerName,
    /// About which tasks.
    pub reports: Vec<Report>,
}

/// What became of one grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// Which task.
    pub id: TaskId,
    /// The grant's fence.
    pub attempt: Attempt,
    /// The grant's claim.
    pub claim: ClaimId,
    /// What happened.
    pub reported: ReportOutcome,
    /// The step of the trace that reports; in a message a header says it.
    #[serde(default, rename = "traceparent", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub trace: Option<TraceContext>,
}

/// How a grant went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReportOutcome {
    /// The operation returned this.
    Result(RawJson),
    /// The operation failed, and this is what it said.
    Error(String),
    /// The worker is stopping and hands the task back.
    Released,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "became", rename_all = "camelCase")]
pub enum SettleResult {
    /// The result arrived in time and is kept (also when it was reported before).
    Finished,
    /// The task has ended without a result, by this report or before it.
    Cancelled {
        /// Why.
        reason: Reason,
    },
    /// It came after the deadline and was refused; the task is cancelled.
    Late {
        /// By how much, in milliseconds.
        #[serde(rename = "lateByMs")]
        late_by_ms: u64,
    },
    /// The task is ready for another worker.
    Released,
    /// Another grant holds the task, or it waits for one: this report speaks for nobody.
    Stale,
    /// There is no such task.
    Unknown,
}
