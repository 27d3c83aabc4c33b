//! The calls of the API, one file for each part of it.

pub(crate) mod accounts;
pub(crate) mod identity;
pub(crate) mod tasks;
pub(crate) mod worker_protocol;
