//! The statements over tasks, one file for each operation on them.

pub(crate) mod admin;
pub(crate) mod attempt_stop;
pub(crate) mod attempts;
pub(crate) mod cancel;
pub(crate) mod claim_by_id;
pub(crate) mod claim_by_type;
pub(crate) mod complete_parameters;
pub(crate) mod content;
pub(crate) mod count;
pub(crate) mod current_status;
pub(crate) mod end_attempts;
pub(crate) mod events;
pub(crate) mod expire;
pub(crate) mod insert_outcome;
pub(crate) mod list;
#[cfg(test)]
mod list_plans;
pub(crate) mod list_statement;
pub(crate) mod progress;
pub(crate) mod promote;
pub(crate) mod prune;
pub(crate) mod queries;
pub(crate) mod release;
pub(crate) mod resolve_dependents;
pub(crate) mod rows;
pub(crate) mod settle;
pub(crate) mod slot_assignment;
pub(crate) mod submit;
pub(crate) mod submit_requests;
pub(crate) mod worker_lost;
