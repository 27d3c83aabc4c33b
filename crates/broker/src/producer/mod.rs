//! Publishing messages to Kafka.

pub(crate) mod publisher;
pub(crate) mod recovery;
