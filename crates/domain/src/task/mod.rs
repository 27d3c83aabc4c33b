//! The task: its submission, its state machine, its status, and its time to live.

pub(crate) mod state_machine;
pub(crate) mod status;
pub(crate) mod submission;
pub(crate) mod ttl;
