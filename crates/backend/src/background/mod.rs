//! Loops that run beside the requests.

pub(crate) mod deadline_sweeper;
pub(crate) mod pruner;
