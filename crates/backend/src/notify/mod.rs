//! What follows a commit: waking local waiters, telling the other Backends, publishing tickets to Kafka.

pub(crate) mod deadline_timer;
pub(crate) mod ended_parents;
pub(crate) mod held_heartbeats;
pub(crate) mod notifier;
pub(crate) mod peer_outbox;
pub(crate) mod peers;
pub(crate) mod ready_types;
pub(crate) mod task_waiters;
pub(crate) mod ticket_publisher;
