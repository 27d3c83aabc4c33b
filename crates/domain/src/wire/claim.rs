//! A worker's claim request, and the tasks that it is granted.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{ClaimId, InstanceId, TaskId};
use crate::name::{TypeName, WorkerName};
use crate::object_only;
use crate::raw_json::RawJson;
use crate::task::attempt::Attempt;
use crate::trace_context::TraceContext;

object_only!(deserialize and serialize: ClaimRequest, DeclinedTask, Pull);

/// A worker's request for tasks (`POST /api/Task/request`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"claim": "6f1c2d0e-58b7-4a52-9d3c-0c3a1f8e7b64", "worker": "rig-7",
    "instance": "c1a7e0f2-3b64-4f0a-9c55-7d2f6e8b1a90", "wanted": {"pull": {"types": ["GENERATE_LOGIN"], "slots": 2}}, "waitMs": 20_000})))]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimRequest {
    /// The id of this request, chosen at random by the worker. A request repeated under the same id is answered with those
    /// tasks granted under it that are still running.
    pub claim: ClaimId,
    /// The name of the worker. It belongs to the account or client that uses it, and to one process at a time.
    pub worker: WorkerName,
    /// The process, by a random UUID that it has made at its start.
    pub instance: InstanceId,
    /// The tasks that the worker wants.
    pub wanted: ClaimTarget,
    /// How long the Backend may hold a request by type while no task is ready, in milliseconds, at most 30,000. The Backend
    /// may hold it for less; `maxHeldMs` in the response says for how long. Requests by id are answered at once.
    #[serde(default)]
    #[schema(maximum = 30_000)]
    pub wait_ms: u64,
    /// Tasks whose tickets reached this worker although it does not run their type; the Backend offers them to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 1000)]
    pub declined: Vec<DeclinedTask>,
}

/// A task that a worker was offered by a ticket and does not run. Workers that run its type, and wait in a long poll, are granted
/// it at once, whatever their `minAgeMs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct DeclinedTask {
    /// The task's id, as the ticket names it.
    pub id: TaskId,
    /// The task's type, as the ticket names it: workers that wait for this type are woken.
    #[serde(rename = "type")]
    pub type_name: TypeName,
}

/// The tasks that a worker wants: by id, or any that are ready, by type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ClaimTarget {
    /// The tasks with these ids, 1 to 1000.
    Ids(Vec<TaskId>),
    /// The tasks that have been ready for the longest time.
    Pull(Pull),
}

/// A claim of tasks by their types: those that have been ready for the longest time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Pull {
    /// The wanted types, 1 to 1000.
    #[schema(min_items = 1, max_items = 1000)]
    pub types: Vec<TypeName>,
    /// How many tasks to grant at most, 1 to 1000.
    #[schema(minimum = 1, maximum = 1000)]
    pub slots: u32,
    /// Grant only tasks that have been ready for at least this long, in milliseconds, or whose priority is above the default; at most
    /// 60,000. An idle worker takes over tasks in this way whose tickets wait for a busy worker, and a busy one tasks of high priority.
    #[serde(default)]
    #[schema(maximum = 60_000)]
    pub min_age_ms: u64,
}

/// The response to a claim request. The worker must stop each task at its deadline = time it sent the request + `heldMs` +
/// `remainingMs`, on a monotonic clock. This deadline is never later than the one in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimResponse {
    /// The time from the arrival of the request to the sending of the claim to the database, in milliseconds.
    pub held_ms: u64,
    /// The longest that the Backend would have held this request, in milliseconds: `waitMs`, or less where the Backend's
    /// settings allow less. A worker that was granted nothing may send its next request at once.
    pub max_held_ms: u64,
    /// The granted tasks, possibly none.
    pub tasks: Vec<Grant>,
}

/// A task that is granted to a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The id of the task.
    pub id: TaskId,
    /// The type of the task: the name of the operation to run.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The parameters, as they were submitted.
    #[schema(value_type = Option<serde_json::Value>)]
    pub parameters: Option<RawJson>,
    /// The attempt: how many times this task has been granted, this grant included. Every report must repeat it.
    #[schema(value_type = u32, minimum = 1, maximum = 2_147_483_647)]
    pub attempt: Attempt,
    /// The id of the claim request by which the task was granted; every report must carry it.
    pub claim: ClaimId,
    /// The time left until the task's deadline when the claim was sent to the database, in milliseconds.
    pub remaining_ms: u64,
    /// The span of the submission (W3C Trace Context); absent if the task is not traced.
    #[serde(default, rename = "traceparent", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub trace: Option<TraceContext>,
}
