//! What the tests share.

pub(crate) mod probe_operation;
pub(crate) mod scripted_backend;
