//! Tasks as the API shows them to administrators.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{OwnerId, SubjectId, TaskId};
use crate::name::{TypeName, WorkerName};
use crate::task::attempt::Attempt;
use crate::task::label::Labels;
use crate::task::status::{Reason, Status};
use crate::task::ttl::Ttl;
use crate::timestamp::Timestamp;

/// A task of any owner: that it exists and how it goes, without its parameters, its result and the text of its error. Members that have no
/// value yet are `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminTask {
    /// The id of the task.
    pub id: TaskId,
    /// The account or client that submitted the task.
    pub owner: OwnerId,
    /// The type of the task: the name of the operation that runs it.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The status of the task.
    pub status: Status,
    /// Why the task was cancelled.
    pub reason: Option<Reason>,
    /// The administrator who cancelled the task; `null` if its owner did.
    pub cancelled_by: Option<SubjectId>,
    /// The labels, as they were submitted.
    pub labels: Labels,
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
    pub attempts: Attempt,
    /// The worker that runs or ran the task.
    pub worker_name: Option<WorkerName>,
}

/// Tasks of all owners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminTaskList {
    /// The tasks.
    pub tasks: Vec<AdminTask>,
}
