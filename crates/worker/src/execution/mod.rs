//! Runs a granted task in a slot until it returns or must stop.

pub(crate) mod executor;
pub(crate) mod running_tasks;
pub(crate) mod slots;
pub(crate) mod stopped_work;
pub(crate) mod timed_grants;
