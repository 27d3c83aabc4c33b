//! Which of the owner's tasks a list contains.

use crate::name::TypeName;
use crate::task::status::Status;
use crate::timestamp::Timestamp;

/// The conditions that each task of a list meets; an absent condition is met by every task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// The status of the tasks.
    pub status: Option<Status>,
    /// The type of the tasks.
    pub type_name: Option<TypeName>,
    /// The tasks were accepted at this instant or later.
    pub from: Option<Timestamp>,
}

impl TaskFilter {
    /// The filter that every task passes.
    pub const UNFILTERED: Self = Self { status: None, type_name: None, from: None };
}
