//! Who is told after a commit: local waiters, other Backends, Kafka.

pub(crate) mod notifier;
pub(crate) mod peer_outbox;
pub(crate) mod peers;
pub(crate) mod ready_types;
pub(crate) mod task_waiters;
