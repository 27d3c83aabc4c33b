//! The interface for authors of operations.

pub(crate) mod context;
pub(crate) mod operation;
pub(crate) mod schema;
