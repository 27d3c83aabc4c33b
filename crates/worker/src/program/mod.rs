//! Runs a program as an operation, under a supervisor that kills it with all its descendants.

pub(crate) mod line_protocol;
pub(crate) mod program_failure;
pub(crate) mod program_operation;
pub(crate) mod supervision;
