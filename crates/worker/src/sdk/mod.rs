//! The interface for authors of operations.

pub(crate) mod context;
pub(crate) mod operation;
pub(crate) mod operation_process;
pub(crate) mod operation_start;
pub(crate) mod registry;
pub(crate) mod schema;
