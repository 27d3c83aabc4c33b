//! A scripted Backend and controllable operations, shared by the tests.

pub(crate) mod probe_operation;
pub(crate) mod scripted_backend;
