//! What a worker and the Backend say to each other: asks and grants, reports and what became of them, heartbeats.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{ClaimId, TaskId};
use crate::json::Json;
use crate::name::{TypeName, WorkerName};
use crate::status::Reason;
use crate::task::Attempt;
use crate::timestamp::Timestamp;
use crate::trace::Trace;

/// A worker's ask for work (`POST /api/Task/request`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ask {
    /// Minted by the worker. Asked again with the same one, the answer is what still runs under it.
    pub claim: ClaimId,
    /// Who asks.
    pub worker: WorkerName,
    /// What it wants.
    pub wanted: Wanted,
    /// How long to wait for work when there is none, in milliseconds. Asks by ids are answered at once.
    #[serde(default)]
    pub wait_ms: u64,
    /// Tasks that it was offered and does not run: others may have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declined: Vec<TaskId>,
}

/// Certain tasks, or whatever waits of certain types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Wanted {
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
pub struct Grants {
    /// From the ask's arrival to the moment its claim was sent to the database, in milliseconds.
    pub held_ms: u64,
    /// What was granted; possibly nothing.
    pub tasks: Vec<Grant>,
}

/// A worker as its last heartbeat showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveWorker {
    /// Its name.
    pub name: WorkerName,
    /// How many tasks it runs at once.
    pub slots: u32,
    /// The types that it runs.
    pub types: Vec<TypeName>,
    /// When it was last heard, by the database's clock.
    pub seen_date: Timestamp,
}

/// The workers that live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerList {
    /// By name.
    pub workers: Vec<LiveWorker>,
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
    pub parameters: Option<Json>,
    /// The fence: every report carries it.
    pub attempt: Attempt,
    /// The claim under which it was granted: every report carries it too.
    pub claim: ClaimId,
    /// How much of its life is left, in milliseconds.
    pub remaining_ms: u64,
    /// The trace that it belongs to (W3C Trace Context); absent: nobody traces it.
    #[serde(default, rename = "traceparent", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub trace: Option<Trace>,
}

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
    pub reported: Reported,
    /// The step of the trace that reports; in a message a header says it.
    #[serde(default, rename = "traceparent", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub trace: Option<Trace>,
}

/// How a grant went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reported {
    /// The operation returned this.
    Result(Json),
    /// The operation failed, and this is what it said.
    Error(String),
    /// The worker is stopping and hands the task back.
    Released,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "became", rename_all = "camelCase")]
pub enum Settled {
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

/// A worker's sign of life (`POST /api/Worker/heartbeat`), every two seconds or so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Heartbeat {
    /// Who lives.
    pub worker: WorkerName,
    /// How many tasks it runs at once.
    pub slots: u32,
    /// The types that it runs.
    pub types: Vec<TypeName>,
    /// What it runs now.
    pub running: Vec<Held>,
    /// The worker has just started: it holds nothing, whatever its predecessor of the same name held. It may be said
    /// again until it is answered; only then does the worker ask for work.
    #[serde(default)]
    pub first: bool,
}

/// A grant, as its holder names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Held {
    /// Which task.
    pub id: TaskId,
    /// By which grant.
    pub attempt: Attempt,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Heard {
    /// What must stop: it was cancelled, has expired, or belongs to another grant.
    pub stop: Vec<Held>,
}
