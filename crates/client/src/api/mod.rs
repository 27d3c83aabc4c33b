//! The calls of Backend and Identity, one file for each group.

pub(crate) mod accounts;
pub(crate) mod identity;
pub(crate) mod tasks;
pub(crate) mod worker_protocol;
