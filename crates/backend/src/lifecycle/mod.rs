//! What the Backend does with a task: one file per verb, which checks, commits, and announces what was committed.

pub(crate) mod announce_accepted;
pub(crate) mod announce_ended;
pub(crate) mod cancel;
pub(crate) mod claim;
pub(crate) mod dependencies;
pub(crate) mod expire;
pub(crate) mod owner_limit;
pub(crate) mod progress;
pub(crate) mod settle;
pub(crate) mod settle_span;
pub(crate) mod stopped_grants;
pub(crate) mod submission_options;
pub(crate) mod submit;
pub(crate) mod unblock;
pub(crate) mod worker_lost;
pub(crate) mod worker_name;
