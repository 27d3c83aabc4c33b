//! Running a granted task in a slot until it returns or its deadline passes.

pub(crate) mod executor;
pub(crate) mod running_tasks;
pub(crate) mod slots;
