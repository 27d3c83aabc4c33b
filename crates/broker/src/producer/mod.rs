//! Publishing messages to Kafka, and replacing a producer that has met a fatal error.

pub(crate) mod publisher;
pub(crate) mod recovery;
