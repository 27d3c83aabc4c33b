//! A worker's heartbeat, its answer, and the list of live workers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::TaskId;
use crate::name::{TypeName, WorkerName};
use crate::task::submission::Attempt;
use crate::timestamp::Timestamp;

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
    pub running: Vec<GrantRef>,
    /// The worker has just started: it holds nothing, whatever its predecessor of the same name held. It may be said
    /// again until it is answered; only then does the worker ask for work.
    #[serde(default)]
    pub first: bool,
}

/// A grant, as its holder names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantRef {
    /// Which task.
    pub id: TaskId,
    /// By which grant.
    pub attempt: Attempt,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeartbeatResponse {
    /// What must stop: it was cancelled, has expired, or belongs to another grant.
    pub stop: Vec<GrantRef>,
}
