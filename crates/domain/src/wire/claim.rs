//! A worker's request for tasks, and the grants that answer it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{ClaimId, TaskId};
use crate::name::{TypeName, WorkerName};
use crate::raw_json::RawJson;
use crate::task::submission::Attempt;
use crate::trace_context::TraceContext;

/// A worker's ask for work (`POST /api/Task/request`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimRequest {
    /// Minted by the worker. Asked again with the same one, the answer is what still runs under it.
    pub claim: ClaimId,
    /// Who asks.
    pub worker: WorkerName,
    /// What it wants.
    pub wanted: ClaimTarget,
    /// How long to wait for work when there is none, in milliseconds. Asks by ids are answered at once.
    #[serde(default)]
    pub wait_ms: u64,
    /// Tasks whose tickets reached this worker although it does not run their type; the Backend offers them to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declined: Vec<DeclinedTask>,
}

/// A task that a worker was offered by a ticket and does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeclinedTask {
    /// The task's id, as the ticket names it.
    pub id: TaskId,
    /// The task's type, as the ticket names it: workers that wait for this type are woken.
    #[serde(rename = "type")]
    pub name: TypeName,
}

/// Certain tasks, or whatever waits of certain types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ClaimTarget {
    /// Exactly these.
    Ids(Vec<TaskId>),
    /// The oldest that are ready.
    #[serde(rename_all = "camelCase")]
    Pull {
        /// Of these types.
        types: Vec<TypeName>,
        /// As many as this, at most.
        slots: u32,
        /// Only those that have been ready for at least so long, in milliseconds; at most 60,000. An idle worker asks so
        /// for what waits in vain for another.
        #[serde(default)]
        min_age_ms: u64,
    },
}

/// The answer to an ask. The worker stops each task at *the moment it sent the ask* + `heldMs` + `remainingMs`, which is
/// never after the database's deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimResponse {
    /// From the ask's arrival to the moment its claim was sent to the database, in milliseconds.
    pub held_ms: u64,
    /// What was granted; possibly nothing.
    pub tasks: Vec<Grant>,
}

/// A yes: this task is yours for so long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Which task.
    pub id: TaskId,
    /// Its operation.
    #[serde(rename = "type")]
    pub name: TypeName,
    /// As they were submitted.
    #[schema(value_type = Option<serde_json::Value>)]
    pub parameters: Option<RawJson>,
    /// The fence: every report carries it.
    pub attempt: Attempt,
    /// The claim under which it was granted: every report carries it too.
    pub claim: ClaimId,
    /// How much of its life is left, in milliseconds.
    pub remaining_ms: u64,
    /// The trace that it belongs to (W3C Trace Context); absent: nobody traces it.
    #[serde(default, rename = "traceparent", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub trace: Option<TraceContext>,
}
