//! Reports of workers about granted tasks, and how each report was settled.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::id::{ClaimId, TaskId};
use crate::name::{TypeName, WorkerName};
use crate::object_only;
use crate::raw_json::RawJson;
use crate::task::attempt::Attempt;
use crate::task::retry_policy::RetryHint;
use crate::task::status::Reason;
use crate::timestamp::Timestamp;
use crate::trace_context::TraceContext;
use crate::wire::lossy_string::LossyString;

object_only!(deserialize and serialize: Reports, Report);

/// A worker's reports about tasks that it was granted (`POST /api/Task/results`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"worker": "rig-7", "reports": [{"id": "019abe40-7c1e-7d52-8f6a-3f0c5a9be2d1", "type": "GENERATE_LOGIN", "attempt": 1,
    "claim": "6f1c2d0e-58b7-4a52-9d3c-0c3a1f8e7b64", "reported": {"result": "q7Zp2LmX0a"}}]})))]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Reports {
    /// The name of the worker that was granted the tasks.
    pub worker: WorkerName,
    /// The reports. Each is settled on its own.
    #[schema(max_items = 1000)]
    pub reports: Vec<Report>,
}

/// A report about one granted task. Reporting again has no further effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// The id of the task.
    pub id: TaskId,
    /// The task's type, as it was granted: the result is validated against the type's schema.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The number of the grant, as it was granted.
    #[serde(deserialize_with = "crate::task::attempt::read")]
    #[schema(value_type = u32)]
    pub attempt: Attempt,
    /// The claim id of the grant, as it was granted.
    pub claim: ClaimId,
    /// The outcome that is reported.
    pub reported: AttemptOutcome,
    /// What a failed operation says about another attempt, for a task that may have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryHint>,
    /// The span that sends the report (W3C Trace Context). In a Kafka message it is a header instead.
    #[serde(default, rename = "traceparent", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub trace: Option<TraceContext>,
}

/// The outcome of a granted task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum AttemptOutcome {
    /// The result that the operation returned.
    Result(RawJson),
    /// The error with which the operation failed. Half a character (a lone surrogate) is read as U+FFFD.
    Error(#[serde(deserialize_with = "lossy_string")] String),
    /// The worker stops and releases the task, so that another worker can claim it.
    Released,
}

fn lossy_string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    LossyString::deserialize(deserializer).map(|text| text.0)
}

/// How a report was settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "became", rename_all = "camelCase")]
pub enum SettleResult {
    /// The task is finished: the result arrived in time and is stored, now or by an earlier report.
    Finished,
    /// The task is cancelled, by this report or before it.
    Cancelled {
        /// Why the task was cancelled.
        reason: Reason,
    },
    /// The report arrived after the deadline and was refused; the task is cancelled.
    Late {
        /// The time from the deadline to the arrival of the report, in milliseconds.
        #[serde(rename = "lateByMs")]
        late_by_ms: u64,
    },
    /// The task is released and waits for another claim.
    Released,
    /// The attempt did not finish the task, which is tried again.
    Retried {
        /// Why the attempt did not finish the task.
        reason: Reason,
        /// When the task becomes ready again.
        #[serde(rename = "readyDate")]
        ready_date: Timestamp,
    },
    /// The report cannot be read and has no effect on its task, nor on the other reports of the request.
    Invalid {
        /// Why the report cannot be read.
        detail: String,
    },
    /// The report is not about the task's current grant and was refused: the task was granted anew, or waits for a grant.
    Stale,
    /// There is no task with this id that was last granted to the account or client that reports.
    Unknown,
}
