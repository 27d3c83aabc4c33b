//! The operations of a worker, however they are made, and how each is started.

pub(crate) mod active_operations;
pub(crate) mod operation_process;
pub(crate) mod operation_start;
pub(crate) mod operations;
pub(crate) mod own_program;
