//! The task: what was submitted, where it stands, and the only ways in which it may change.

pub(crate) mod state_machine;
pub(crate) mod status;
pub(crate) mod submission;
pub(crate) mod ttl;
