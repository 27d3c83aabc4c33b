//! The number of an attempt at a task.

/// The number of a grant of a task, used as a fencing token: each grant raises it, nothing lowers it, and reports of an
/// earlier grant are refused. 0: never granted.
pub type Attempt = u32;
