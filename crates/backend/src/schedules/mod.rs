//! When schedules run.

mod local_time;
pub(crate) mod recurrence;
