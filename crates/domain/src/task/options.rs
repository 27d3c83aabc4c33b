//! What a submission may say beyond its type, its parameters and its times.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::TaskId;
use crate::name::ScheduleName;
use crate::task::label::Labels;
use crate::task::priority::Priority;
use crate::task::retry_policy::RetryPolicy;
use crate::task::ttl::Ttl;
use crate::timestamp::Timestamp;

/// What only few submissions say. It is stored as one JSON text, and costs nothing to a task that says none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskOptions {
    /// The labels, by which the owner finds the task.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The priority among the ready tasks of the type.
    #[serde(skip_serializing_if = "Priority::is_default")]
    pub priority: Priority,
    /// How often, and when, the task is tried again; `None`: it is tried once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// How long all attempts may take together, with the pauses between them, counted from the first grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ttl_ms: Option<Ttl>,
    /// The tasks that must have finished before the task is ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<TaskId>,
    /// Members of the parameters that are the results of tasks of `after`, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters_from: BTreeMap<String, TaskId>,
    /// The task whose content was submitted again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<TaskId>,
    /// The schedule that submitted the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleName>,
    /// The time of the schedule for which the task was submitted; `None`: somebody ran the schedule by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_for: Option<Timestamp>,
}

impl TaskOptions {
    /// The most tasks that a task may wait for.
    pub const MAX_AFTER: usize = 100;

    /// Whether the submission says none of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many attempts may fail, the first one included.
    pub fn max_attempts(&self) -> u32 {
        self.retry.as_ref().map_or(1, |retry| retry.max_attempts)
    }

    /// The options as they are stored; `None` if there are none.
    pub fn to_json(&self) -> Option<String> {
        (!self.is_empty()).then(|| serde_json::to_string(self).expect("options are JSON"))
    }
}
