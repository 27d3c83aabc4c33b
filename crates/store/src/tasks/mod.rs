//! The statements over tasks, one file for each operation on them.

pub(crate) mod attempt_stop;
pub(crate) mod cancel;
pub(crate) mod claim_by_id;
pub(crate) mod claim_by_type;
pub(crate) mod end_attempts;
pub(crate) mod expire;
pub(crate) mod insert_outcome;
pub(crate) mod list;
pub(crate) mod promote;
pub(crate) mod prune;
pub(crate) mod queries;
pub(crate) mod release;
pub(crate) mod rows;
pub(crate) mod settle;
pub(crate) mod slot_assignment;
pub(crate) mod standing;
pub(crate) mod submit;
pub(crate) mod worker_lost;
