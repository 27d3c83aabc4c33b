//! What an author of operations writes against.

pub(crate) mod context;
pub(crate) mod operation;
pub(crate) mod registry;
pub(crate) mod schema;
