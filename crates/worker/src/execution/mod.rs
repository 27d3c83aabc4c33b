//! Runs a granted task in a slot until it returns or must stop.

pub(crate) mod blocked_operations;
pub(crate) mod counted_polls;
pub(crate) mod executor;
pub(crate) mod operation_threads;
pub(crate) mod run;
pub(crate) mod run_outcome;
pub(crate) mod running_tasks;
pub(crate) mod slots;
pub(crate) mod stopped_work;
pub(crate) mod timed_grants;
pub(crate) mod trial;
