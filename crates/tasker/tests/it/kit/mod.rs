//! What the tests share.

pub(crate) mod cluster;
pub(crate) mod history_audit;
pub(crate) mod person;
pub(crate) mod process;
pub(crate) mod trace_collector;
pub(crate) mod until;
