//! Which tasks a list has.

use crate::name::{TypeName, WorkerName};
use crate::task::label::Label;
use crate::task::status::Status;
use crate::timestamp::Timestamp;

/// The conditions that each task of a list meets; an absent condition is met by every task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// The status of the tasks.
    pub status: Option<Status>,
    /// The type of the tasks.
    pub type_name: Option<TypeName>,
    /// The tasks have all of these labels.
    pub labels: Vec<Label>,
    /// The worker that runs or ran the tasks.
    pub worker: Option<WorkerName>,
    /// The tasks were accepted at this instant or later.
    pub created_after: Option<Timestamp>,
    /// The tasks were accepted before this instant.
    pub created_before: Option<Timestamp>,
}

impl TaskFilter {
    /// The filter that every task passes.
    pub const UNFILTERED: Self = Self {
        status: None,
        type_name: None,
        labels: Vec::new(),
        worker: None,
        created_after: None,
        created_before: None,
    };
}
