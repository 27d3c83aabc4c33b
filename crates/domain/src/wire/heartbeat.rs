//! A worker's heartbeat, the response to it, and the list of live workers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{InstallationId, InstanceId, TaskId};
use crate::name::{TypeName, WorkerName};
use crate::object_only;
use crate::stop_means::StopMeansKind;
use crate::task::attempt::Attempt;
use crate::timestamp::Timestamp;

object_only!(deserialize and serialize: Heartbeat, GrantRef, StoppedGrant);

/// A live worker, as its last heartbeat described it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveWorker {
    /// The name of the worker.
    pub name: WorkerName,
    /// How many tasks the worker can run at once.
    pub slots: u32,
    /// The types of tasks that the worker runs.
    pub types: Vec<TypeName>,
    /// By what means the worker kills the processes of programs; empty if it runs none.
    pub stop_means: BTreeSet<StopMeansKind>,
    /// When the last heartbeat arrived, by the database's clock.
    pub seen_date: Timestamp,
}

/// The live workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerList {
    /// The workers, ordered by name.
    pub workers: Vec<LiveWorker>,
}

/// A worker's heartbeat (`POST /api/Worker/heartbeat`), sent about every two seconds. A worker that sends none for too long
/// is lost, and its running tasks end as CANCELLED (`WORKER_LOST`).
///
/// The first heartbeat takes the worker's name. Until the worker has said that a heartbeat is its last, or is lost, the name
/// is refused to every other process. Tasks that were granted to an earlier process of the same account or client under this
/// name end as `WORKER_LOST`.
///
/// A heartbeat with `waitMs` is held: it is answered when the worker must stop a grant, at once if it must already. A worker
/// keeps one such heartbeat at the Backend beside those that it sends periodically, and sends the next when it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"worker": "rig-7", "instance": "c1a7e0f2-3b64-4f0a-9c55-7d2f6e8b1a90", "slots": 2, "types": ["GENERATE_LOGIN"],
    "running": [{"id": "019abe40-7c1e-7d52-8f6a-3f0c5a9be2d1", "attempt": 1}]})))]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Heartbeat {
    /// The name of the worker.
    pub worker: WorkerName,
    /// The process, as in its claims.
    pub instance: InstanceId,
    /// How many tasks the worker can run at once.
    #[schema(maximum = 10_000)]
    pub slots: u32,
    /// The types of tasks that the worker runs.
    #[schema(max_items = 1000)]
    pub types: Vec<TypeName>,
    /// By what means the worker kills the processes of programs; empty if it runs none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stop_means: BTreeSet<StopMeansKind>,
    /// The tasks that the worker is running, and those whose results it has sent by Kafka and not seen confirmed.
    #[schema(max_items = 20_000)]
    pub running: Vec<GrantRef>,
    /// Grants whose work has stopped since the last heartbeat and is not reported: they were to stop, or their deadline has passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20_000)]
    pub stopped: Vec<StoppedGrant>,
    /// The worker stops and sends no heartbeat after this one: its name is free at once, unless tasks still run under it.
    #[serde(default)]
    pub last: bool,
    /// For how many milliseconds the answer may wait until there is a grant to stop. A later heartbeat of the worker that is held
    /// takes the place of an earlier one, which is answered then. 0: the answer does not wait, and neither does that of the
    /// last heartbeat.
    #[serde(default)]
    #[schema(maximum = 30_000)]
    pub wait_ms: u64,
}

/// A reference to a grant: a task and the number of the grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantRef {
    /// The id of the task.
    pub id: TaskId,
    /// The number of the grant.
    #[serde(deserialize_with = "crate::task::attempt::read")]
    #[schema(value_type = u32)]
    pub attempt: Attempt,
}

/// A grant whose work has stopped, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct StoppedGrant {
    /// The id of the task.
    pub id: TaskId,
    /// The number of the grant.
    #[serde(deserialize_with = "crate::task::attempt::read")]
    #[schema(value_type = u32)]
    pub attempt: Attempt,
    /// How many milliseconds before the heartbeat was sent the work had stopped, by the worker's clock that only goes forward. An hour at most
    /// counts.
    #[serde(default)]
    pub ago_ms: u64,
}

impl StoppedGrant {
    /// The grant.
    pub const fn grant(&self) -> GrantRef {
        GrantRef { id: self.id, attempt: self.attempt }
    }
}

/// The response to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeartbeatResponse {
    /// The grants that the worker must stop: the task has ended, or is granted anew. They are of the heartbeat's `running`; in the
    /// answer to a heartbeat that was held, also of what the worker was granted since it sent the heartbeat.
    pub stop: Vec<GrantRef>,
    /// The id of the Backend's installation, which names the consumer groups of workers and is in every Kafka message.
    pub installation: InstallationId,
}
