//! The task: its submission, its attempts, its options, its state machine, its status, and its time to live.

pub(crate) mod attempt;
pub(crate) mod attempt_budget;
pub(crate) mod event;
pub(crate) mod label;
pub(crate) mod options;
pub(crate) mod priority;
pub(crate) mod retry_policy;
pub(crate) mod state_machine;
pub(crate) mod status;
pub(crate) mod submission;
pub(crate) mod submission_limits;
pub(crate) mod submission_request;
pub(crate) mod task_counts;
pub(crate) mod ttl;
pub(crate) mod worker_process;
