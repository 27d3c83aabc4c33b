//! What the Backend does with Kafka: consumes results and republishes tickets.

pub(crate) mod result_consumer;
pub(crate) mod ticket_republisher;
