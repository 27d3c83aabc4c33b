//! The calls of Backend and Identity, one file for each group.

pub(crate) mod accounts_client;
pub(crate) mod admin;
pub(crate) mod events;
pub(crate) mod identity_client;
pub(crate) mod schedules;
pub(crate) mod sign_in;
pub(crate) mod submissions;
pub(crate) mod tasks;
pub(crate) mod worker_protocol;
