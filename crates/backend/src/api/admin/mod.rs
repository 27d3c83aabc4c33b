//! `/api/Admin/Task` and below: an administrator sees how the tasks of all owners go, and cancels one.

pub(crate) mod list;
pub(crate) mod tasks;
