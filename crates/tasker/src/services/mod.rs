//! The services as processes: `tasker up`, `backend`, `identity`, `worker`, `migrate`.

pub(crate) mod all_in_one;
pub(crate) mod backend;
pub(crate) mod identity;
pub(crate) mod kafka;
pub(crate) mod lifecycle;
pub(crate) mod migrate;
pub(crate) mod sqlite_lock;
pub(crate) mod startup_retry;
pub(crate) mod worker;
pub(crate) mod worker_operations;
